"""What stands below every command's help: examples to copy, and its exit codes. Tests parse every example.

Help texts that tell their exit codes themselves have none here.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Help(NamedTuple):
    """The foot of one command's help.

    Attributes:
        examples: Whole command lines.
        exits: Its exit codes, or ``None`` when its text tells them.
    """

    examples: tuple[str, ...]
    exits: str | None = None


_READ = "0 shown; 1 a file holds problems; 64 usage."
_RUN = "0 done, or parked; 1 an error; 4 refused as unsafe; 5 something could not be seen; 64 usage."
_CHECK = "0 well; 2 to 6 by the worst finding (see `organismctl --help`); 1 an error; 64 usage."

_PEER = "cd866a5879bee75294fb9aba313d160f6855263ac60c20d7cf71142aef063a23"

HELPS: dict[str, Help] = {
    "init": Help(
        (
            "organismctl init rehearsal --from-example composite",
            "organismctl init --name acme.settlement --network mosaik.universe --node node-a=http://127.0.0.1:7101",
            f"organismctl init --name acme.settlement --network mosaik.universe --from-peer {_PEER}@10.0.0.5:7301",
        ),
        "0 written; 1 what was given holds problems; 4 a file is there already; 5 no peer told; 64 usage.",
    ),
    "doctor": Help(("organismctl doctor", "organismctl doctor --organism staging --format json")),
    "status": Help(("organismctl status", "organismctl status --from seen.json --format json")),
    "watch": Help(
        (
            "organismctl watch",
            "organismctl watch --every 2s --no-wire",
            "organismctl watch --once --organism staging",
            "organismctl watch -n 10 --format json",
        ),
        "0 ended by Ctrl-C; with -n or --once by the worst finding of the last look; 1 an error; 64 usage.",
    ),
    "report": Help(
        (
            "organismctl report -o acme.html",
            "organismctl report --from seen.json --format html -o acme.html",
            "organismctl report --format json -o acme.json",
        ),
        _CHECK,
    ),
    "fingerprint show": Help(
        ("organismctl fingerprint show", "organismctl fingerprint show --as-ref -o acme.ref.txt"), _READ
    ),
    "fingerprint explain": Help(
        ("organismctl fingerprint explain", "organismctl fingerprint explain --format json -o preimage.json"),
        _READ,
    ),
    "fingerprint diff": Help(("organismctl fingerprint diff deployed/organism.toml organism.toml",)),
    "fingerprint check": Help(
        (
            "organismctl fingerprint check",
            "organismctl fingerprint check --format github --fail-on integrators",
            "organismctl fingerprint check --format junit -o fingerprint.xml",
        )
    ),
    "lock init": Help(
        ("organismctl lock init",),
        "0 written; 1 a file holds problems; 4 there is a lock already; 64 usage.",
    ),
    "lock accept": Help(
        (
            'organismctl lock accept --reason "a third spanned member"',
            'organismctl lock accept --reason "partial facts" --announcement 7',
        ),
        "0 accepted; 1 a file holds problems, or there is no lock; 64 usage.",
    ),
    "lock show": Help(("organismctl lock show", "organismctl lock show --format json"), _READ),
    "check tickets": Help(
        ("organismctl check tickets", "organismctl check tickets --at +7d --format prometheus"), _CHECK
    ),
    "check identity": Help(("organismctl check identity", "organismctl check identity --listen 30s"), _CHECK),
    "check committee": Help(
        ("organismctl check committee --via node-a", "organismctl check committee --from seen.json"), _CHECK
    ),
    "check surfaces": Help(
        ("organismctl check surfaces", "organismctl check surfaces --listen 30s --format json"), _CHECK
    ),
    "check subscriptions": Help(
        (
            "organismctl check subscriptions",
            "organismctl check subscriptions --listen 30s",
            "organismctl check subscriptions --from seen.json --format json",
        ),
        _CHECK,
    ),
    "check evidence": Help(
        ("organismctl check evidence", "organismctl check evidence --format json -o evidence.json"), _CHECK
    ),
    "check fingerprint": Help(("organismctl check fingerprint --strict",), _CHECK),
    "check all": Help(("organismctl check all", "organismctl check all --format junit -o all.xml"), _CHECK),
    "observe": Help(("organismctl observe", "organismctl observe --no-wire -o seen.json")),
    "inspect": Help(
        (
            f"organismctl inspect {_PEER}@10.0.0.5:7301 --network mosaik.universe",
            f"organismctl inspect {_PEER}@10.0.0.5:7301 --network mosaik.universe --stream acme.offers --listen 30s",
        ),
        "0 everything that was sent proves; 5 an entry point or a stream was not seen, or something does not "
        "prove; 1 a file cannot be read; 64 usage.",
    ),
    "explain": Help(
        ("organismctl explain TICKET-QUORUM", "organismctl explain --list"), "0 explained; 64 no such code."
    ),
    "runbook list": Help(
        ("organismctl runbook list --code MEMBER-DARK", "organismctl runbook list --runs"),
        "0 listed; 1 a file holds problems; 64 usage.",
    ),
    "runbook show": Help(
        ("organismctl runbook show node-down", "organismctl runbook show TICKET-QUORUM"),
        "0 shown; 1 it holds problems; 64 there is none.",
    ),
    "runbook run": Help(
        (
            "organismctl runbook run",
            "organismctl runbook run node-down --dry-run",
            "organismctl runbook run rotate-member --set out=node-a --yes --format markdown -o rotation.md",
            "organismctl runbook run --resume",
        )
    ),
    "runbook report": Help(
        ("organismctl runbook report 20261124T085836Z-node-down-7f3a1c --format json",),
        "0 printed; 1 it does not prove; 64 there is none.",
    ),
    "runbook check": Help(
        ("organismctl runbook check", "organismctl runbook check --runbooks runbooks --format json"),
        "0 all is proven; 1 a runbook holds problems; 64 usage.",
    ),
    "runbook new": Help(
        (
            'organismctl runbook new disk-full --title "A full disk"',
            "organismctl runbook new node-down --copy --runbooks runbooks",
        ),
        "0 written; 4 it is there already; 64 usage.",
    ),
    "tickets request": Help(
        ("organismctl tickets request --span acme-mainnet --lifetime 30d -o request.json",),
        "0 written; 1 the spanned member or a node is unknown; 64 usage.",
    ),
    "tickets show": Help(("organismctl tickets show", "organismctl tickets show bundle.json"), _READ),
    "tickets import": Help(
        ("organismctl tickets import bundle.json",),
        "0 placed; 1 it is no bundle; 4 a ticket in it would not admit its node, nothing was written; 64 usage.",
    ),
    "tickets install": Help(
        ("organismctl tickets install", "organismctl tickets install --span acme-mainnet --node node-a"),
        "0 seen on every node; 1 an error; 4 a node refuses one; 5 a node does not answer; 64 usage.",
    ),
    "tickets issue": Help(
        (
            "organismctl tickets issue --new-key --key issuer.key --issuer acme",
            "organismctl tickets issue --key issuer.key --request request.json -o bundle.json",
        ),
        "0 issued; 1 the key or the request cannot be used; 64 usage.",
    ),
    "rotate member": Help(
        (
            "organismctl rotate member --out node-a --in node-d --dry-run",
            "organismctl rotate member --dead node-b --in node-d",
        ),
        "0 done, or parked; 1 an error; 2 --dry-run: there is something to do; 4 refused as unsafe; "
        "5 something could not be seen; 64 usage.",
    ),
    "retire": Help(
        (
            "organismctl retire --effective-at 2026-12-01T00:00Z --dry-run",
            "organismctl retire --effective-at tick:123456 --fallback 2026-12-02T00:00Z --plan-out plan.json",
        ),
        "0 done, or parked; 1 an error; 2 --dry-run: there is something to do; 4 refused as unsafe; "
        "5 something could not be seen; 64 usage.",
    ),
    "retire amend": Help(("organismctl retire amend --effective-at 2026-12-08T00:00Z",), _RUN),
    "retire cancel": Help(("organismctl retire cancel",), _RUN),
    "retire verify": Help(
        ("organismctl retire verify", "organismctl retire verify --format json"),
        "0 every surface ends with the marker; 5 one could not be read; 6 one does not; 1 an error; 64 usage.",
    ),
    "change list": Help(("organismctl change list", "organismctl change list --format json"), _READ),
    "change show": Help(("organismctl change show", "organismctl change show --format json"), _READ),
    "change history": Help(("organismctl change history",), _READ),
    "change resume": Help(("organismctl change resume", "organismctl change resume --yes --wait 10m"), _RUN),
    "change takeover": Help(("organismctl change takeover --organism acme",), _RUN),
    "change abort": Help(("organismctl change abort",), _RUN),
    "change apply": Help(
        ("organismctl change apply plan.json --dry-run", "organismctl change apply plan.json --yes"),
        "0 done, or parked; 1 an error; 2 --dry-run: there is something to do; 4 the world has moved since, or it "
        "is unsafe; 5 something could not be seen; 64 usage.",
    ),
    "committee init": Help(
        (
            "organismctl committee init",
            "organismctl committee init --carrier mosaik",
            "organismctl committee init --node node-d --join",
        ),
        "0 all is there; 1 the files hold problems; 4 the committee has moved on; 64 usage.",
    ),
    "committee serve": Help(
        (
            "organismctl committee serve --node node-a",
            "organismctl committee serve --node node-a --carrier mosaik --detach",
        ),
        "0 it ended in order, or runs in the background; 1 an error; 4 its ledger is in use, or a secret is open "
        "to others; 64 usage.",
    ),
    "committee start": Help(
        ("organismctl committee start", "organismctl committee start --node node-a --restart"),
        "0 it answers; 1 an error; 5 it was started and does not answer; 64 usage.",
    ),
    "committee void": Help(
        ('organismctl committee void --node node-d --reason "compacted upstream"',),
        "0 it applies again; 1 an error; 4 refused; 5 it cannot be asked, or stands still; 64 usage.",
    ),
    "committee stop": Help(
        (
            "organismctl committee stop --node node-a",
            "organismctl committee stop --node node-a --check",
            "organismctl committee stop --all",
        )
    ),
    "committee status": Help(
        ("organismctl committee status",), "0 all run; 5 one cannot be told; 6 one is off; 1 an error."
    ),
    "committee relay": Help(
        (
            "organismctl committee relay --bind 10.0.0.1:3340 --detach",
            "organismctl committee relay --stop",
        ),
        "0 it ended in order, or runs in the background; 1 an error; 4 one runs already; 64 usage.",
    ),
    "exporter": Help(
        (
            "organismctl exporter",
            "organismctl exporter --listen 10.0.0.5:9560 --every 30s --memory /var/lib/organism/exporter.db",
        ),
        "0 it ended in order; 1 it cannot listen, or a file holds problems; 4 another has its memory; 64 usage.",
    ),
    "export prometheus": Help(
        (
            "organismctl export prometheus -o organism.rules.yml",
            "organismctl export prometheus --scrape --target 10.0.0.5:9560",
        ),
        "0 written; 1 a file holds problems; 64 usage.",
    ),
    "export alertmanager": Help(
        ("organismctl export alertmanager --page https://pager.acme.example/hook -o alertmanager.yml",),
        "0 written; 1 a file holds problems; 64 usage.",
    ),
    "export grafana": Help(
        ("organismctl export grafana -o dashboard.json",), "0 written; 1 a file holds problems; 64 usage."
    ),
    "export systemd": Help(
        (
            "organismctl export systemd --user organism -o /etc/systemd/system",
            "organismctl export systemd --only node --only relay --bind 10.0.0.1:3340",
            "organismctl export systemd --only node --tls-cert /etc/acme/{node}.pem --tls-key /etc/acme/{node}.key",
            "organismctl export systemd --only check --every 5m --user organism -o /etc/systemd/system",
        ),
        "0 written; 1 a file holds problems; 64 usage.",
    ),
    "surface read": Help(
        (
            "organismctl surface read --url http://127.0.0.1:7101 --follow",
            "organismctl surface read --from 100 --limit 10 --format jsonl",
        )
    ),
    "surface verify": Help(
        (
            "organismctl surface verify",
            "organismctl surface verify --retired",
            f"organismctl surface verify --url http://127.0.0.1:7101 --fingerprint {_PEER} --genesis {_PEER}",
        )
    ),
}
"""A command's words to the foot of its help."""


def dress(command: Any, path: str) -> Any:
    """Give a click command, and those below it, their feet."""
    foot = HELPS.get(path)
    if foot is not None:
        # A backspace on a line of its own keeps click from re-wrapping the lines that follow.
        lines = ["\b", "Examples:", *(f"  {line}" for line in foot.examples)]
        exits = f"\n\nExit codes: {foot.exits}" if foot.exits else ""
        command.epilog = "\n".join(lines) + exits
    for name, below in getattr(command, "commands", {}).items():
        dress(below, f"{path} {name}")
    return command
