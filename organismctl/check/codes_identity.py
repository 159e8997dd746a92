"""Codes about what the organism and its spanned members are."""

from __future__ import annotations

from organismctl.check.codes_type import INTEGRATORS, Code
from organismctl.check.finding import Status
from organismctl.exits import Exit

IDENTITY: tuple[Code, ...] = (
    Code(
        "FINGERPRINT-DRIFT",
        "the fingerprint is not the accepted one",
        "organism.toml gives another fingerprint than organism.lock accepts. Deployed like this, it is a new "
        "committee with new handles: integrators compiled against the old one see ConnectTimeout, nothing else.",
        "If the edit is a mistake, take it back. If it is meant, see `organismctl fingerprint diff`, announce it "
        "on the change channel, and accept it with `organismctl lock accept --reason TEXT --announcement ID`.",
        Exit.DRIFT,
        "identity-drift",
        concerns=INTEGRATORS,
    ),
    Code(
        "FINGERPRINT-UNKNOWN",
        "the fingerprint cannot be computed here",
        "The config's identity scheme needs something that was not at hand: the organism's own binary (exec), or "
        "a declared value.",
        "Run the check where the binary is, or declare the fingerprint under [identity].",
        Exit.DRIFT,
        "identity-drift",
        default=Status.UNKNOWN,
        concerns=INTEGRATORS,
    ),
    Code(
        "GROUP-DRIFT",
        "the group id is not the accepted one",
        "An input of mosaik's GroupId moved: heartbeats, machine, sync, validators, the fingerprint, or the group "
        "secret. Nodes with different group ids never bond: each half believes that it is the committee.",
        "Take the edit back, or plan the change for all nodes together and accept it with `organismctl lock "
        "accept --reason TEXT`. Integrators need not act unless the fingerprint moved too.",
        Exit.DRIFT,
        "identity-drift",
    ),
    Code(
        "GROUP-UNKNOWN",
        "the group id cannot be computed here",
        "Neither the group secret nor its hash in organism.lock is here, so half of the identity is not known.",
        "Run `organismctl lock init` once where the group secret is; the lock then holds its hash, which is "
        "enough and useless to others. In a gate for integrators alone: `--fail-on integrators`.",
        Exit.DRIFT,
        "identity-drift",
        default=Status.UNKNOWN,
    ),
    Code(
        "SURFACE-ID-FIXED",
        "a surface's id is given, not derived",
        "A surface with an explicit id keeps it when the fingerprint moves: integrators of the old organism stay "
        "connected to the new one's stream and read facts of another meaning without noticing.",
        "Leave `id` out, so that it derives from the fingerprint; keep it only where integrators agreed to it, "
        "and accept the finding.",
        Exit.DRIFT,
        "identity-drift",
        default=Status.WARN,
        concerns=INTEGRATORS,
    ),
    Code(
        "LOCK-MISSING",
        "there is no accepted identity",
        "organism.lock is missing or empty, so there is nothing to compare organism.toml with: drift would pass "
        "unseen.",
        "Run `organismctl lock init` and commit organism.lock beside organism.toml.",
        Exit.DRIFT,
        "first-install",
        concerns=INTEGRATORS,
    ),
    Code(
        "LOCK-PENDING",
        "an accepted identity is not deployed yet",
        "organism.lock holds a `next` stanza: somebody accepted this identity, and the change that deploys it has "
        "not ended.",
        "Deploy it, or look for a parked change: `organismctl change list`.",
        Exit.DRIFT,
        "identity-drift",
        default=Status.WARN,
    ),
    Code(
        "SPAN-MOVED",
        "a spanned member's stable id moved",
        "The spanned member publishes another stable id than organism.toml names: it is another lattice or "
        "organism now, or the card is somebody else's. Our fingerprint is stale.",
        "Ask its operator which is right. A real move means a new OrganismConfig, notice, and a redeployment.",
        Exit.DRIFT,
        "identity-drift",
        concerns=INTEGRATORS,
    ),
    Code(
        "SPAN-CONTENT",
        "a pinned content hash moved",
        "The spanned member's content hash is pinned in organism.toml and it publishes another one: its content, "
        "admission or measurements changed. Our fingerprint is stale before integrators notice.",
        "Read its change channel; check what moved; update the pin as a planned change with notice.",
        Exit.DRIFT,
        "identity-drift",
        concerns=INTEGRATORS,
    ),
    Code(
        "SPAN-ISSUER",
        "a spanned member's issuance root moved",
        "The spanned member admits by another issuer than organism.toml names as current: tickets from the old "
        "root stop working at its restart or at their expiry. Our own fingerprint does not move.",
        "Get tickets from the new root for every committee member before the cut-over; name the new issuer with "
        'state = "next", later "current".',
        Exit.DRIFT,
        "issuance-root",
    ),
    Code(
        "SPAN-MEASUREMENTS",
        "a spanned member's measurements moved",
        "The spanned member publishes TDX measurements other than those that organism.toml expects of it.",
        "Ask its operator; update the expected measurements once they are confirmed by a second way.",
        Exit.DRIFT,
        "identity-drift",
    ),
    Code(
        "SPAN-RETIRED",
        "a spanned member has retired",
        "The spanned member's card carries a RetirementMarker: nothing more comes from it. The organism stalls or "
        "commits partial evidence, by its stall policy.",
        "See the marker's replacement; span it instead (a new fingerprint, with notice), or retire as well.",
        Exit.DRIFT,
        "span-retires",
        concerns=INTEGRATORS,
    ),
    Code(
        "SPAN-CARD",
        "a spanned member's card could not be read",
        "Without the card it cannot be told whether the spanned member is still what organism.toml pins.",
        "Check `card` under its [[span]] in deployment.toml, and that the file or URL answers.",
        Exit.DRIFT,
        "identity-drift",
        default=Status.UNKNOWN,
    ),
    Code(
        "ACCEPT-EXPIRED",
        "an acceptance is over",
        "An [[accept]] in deployment.toml is past its date: its finding counts again.",
        "Repair what it accepted, or accept it anew with a new date and reason; else remove the entry.",
        Exit.DRIFT,
        "acceptances",
        default=Status.WARN,
    ),
    Code(
        "ACCEPT-UNKNOWN",
        "an acceptance names no finding",
        "An [[accept]] in deployment.toml names a code that does not exist, so it accepts nothing.",
        "Correct the code; `organismctl explain --list` shows all of them.",
        Exit.DRIFT,
        "acceptances",
        default=Status.WARN,
    ),
)
