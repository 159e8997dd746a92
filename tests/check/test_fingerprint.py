from __future__ import annotations

import pytest

from organismctl.check.finding import Status
from organismctl.check.run import exit_of
from organismctl.exits import Exit
from organismctl.files.lock import LockFile
from tests.check.worlds import lock, organism, pick, run, scope, stanza


def test_the_accepted_config_is_ok_and_names_who_accepted_it() -> None:
    rows = run("fingerprint", locked=lock(organism()), no_deployment=True)
    assert {row.status for row in rows} == {Status.OK}
    assert "alice@acme" in pick(rows, "FINGERPRINT-DRIFT").summary
    assert exit_of(rows) is Exit.OK


def test_a_drifted_field_has_its_line_and_moves_both_identities() -> None:
    edited = organism(("quorum_of_offers = 2", "quorum_of_offers = 3"))
    rows = run("fingerprint", loaded=edited, locked=lock(organism()), no_deployment=True)
    field = pick(rows, "FINGERPRINT-DRIFT", "content.quorum_of_offers")
    assert field.place is not None
    assert edited.text.splitlines()[(field.place.line or 0) - 1] == "quorum_of_offers = 3"
    assert field.values["moves"] == ["fingerprint", "group_id"]
    whole = pick(rows, "FINGERPRINT-DRIFT", "fingerprint")
    assert whole.values["verdict"] == "rebuild"
    assert "integrators" in whole.values["who"]
    assert pick(rows, "GROUP-DRIFT", "group id").status is Status.BAD
    assert exit_of(rows) is Exit.DRIFT
    assert exit_of(rows, fail_on="integrators") is Exit.DRIFT


def test_admission_alone_asks_integrators_to_rebind() -> None:
    edited = organism(('issuers = ["acme-admission"]', 'issuers = ["acme-admission-2"]'))
    rows = run("fingerprint", loaded=edited, locked=lock(organism()), no_deployment=True)
    assert pick(rows, "FINGERPRINT-DRIFT", "fingerprint").values["verdict"] == "rebind"
    assert pick(rows, "FINGERPRINT-DRIFT", "acl[0]").place.line is not None


def test_a_group_input_moves_the_group_id_alone_and_is_no_matter_of_integrators() -> None:
    edited = organism(('heartbeat = "500ms"', 'heartbeat = "400ms"'))
    rows = run("fingerprint", loaded=edited, locked=lock(organism()), no_deployment=True)
    assert pick(rows, "FINGERPRINT-DRIFT").status is Status.OK
    assert pick(rows, "GROUP-DRIFT", "group.heartbeat").values["verdict"] == "none"
    assert exit_of(rows) is Exit.DRIFT
    assert exit_of(rows, fail_on="committee") is Exit.DRIFT
    assert exit_of(rows, fail_on="integrators") is Exit.OK


def test_another_secret_is_drift_although_no_public_input_moved() -> None:
    rows = run("fingerprint", locked=lock(organism()), hashed=b"\1" * 32, no_deployment=True)
    assert "secret" in pick(rows, "GROUP-DRIFT", "group id").summary


def test_without_secret_and_hash_the_group_id_is_unknown_and_never_ok() -> None:
    rows = run("fingerprint", locked=lock(organism(), hashed=None), hashed=None, no_deployment=True)
    assert pick(rows, "GROUP-UNKNOWN").status is Status.UNKNOWN
    assert exit_of(rows) is Exit.UNKNOWN
    assert exit_of(rows, fail_on="integrators") is Exit.OK


@pytest.mark.parametrize("locked", [None, LockFile()])
def test_without_an_accepted_identity_there_is_nothing_to_compare_with(locked: LockFile | None) -> None:
    rows = run("fingerprint", locked=locked, no_deployment=True)
    assert pick(rows, "LOCK-MISSING").exit is Exit.DRIFT


def test_the_next_stanza_is_what_counts_and_is_said_to_be_pending() -> None:
    edited = organism(("quorum_of_offers = 2", "quorum_of_offers = 3"))
    pending = lock(organism()).accept(stanza(edited))
    rows = run("fingerprint", loaded=edited, locked=pending, no_deployment=True)
    assert pick(rows, "FINGERPRINT-DRIFT").status is Status.OK
    assert pick(rows, "LOCK-PENDING").status is Status.WARN
    assert exit_of(rows) is Exit.OK
    assert exit_of(rows, strict=True) is Exit.DRIFT


def test_a_whole_new_spanned_member_is_one_row() -> None:
    edited = organism(
        ("[driver]", '[[span]]\nname = "gamma"\nkind = "lattice"\nstable_id = "' + "c" * 64 + '"\nclock = "slot"\n'
         '[[span.surface]]\nname = "s"\ntype = "stream"\nid = "gamma.s"\n\n[driver]')
    )  # fmt: skip
    rows = run("fingerprint", loaded=edited, locked=lock(organism()), no_deployment=True)
    assert [row.subject for row in rows if row.code == "FINGERPRINT-DRIFT"] == ["fingerprint", "span[gamma]"]
    assert pick(rows, "FINGERPRINT-DRIFT", "span[gamma]").values["change"] == "added"
    back = run("fingerprint", locked=lock(edited), no_deployment=True)
    assert pick(back, "FINGERPRINT-DRIFT", "span[cccccccccc]").place.line is None


def test_a_fixed_surface_id_is_warned_of_at_its_line() -> None:
    edited = organism(
        (
            'name = "facts"\ntype = "stream"\n\n[[acl]]',
            'name = "facts"\ntype = "stream"\nid = "acme.facts"\n\n[[acl]]',
        )
    )
    row = pick(run("fingerprint", loaded=edited, locked=lock(edited), no_deployment=True), "SURFACE-ID-FIXED")
    assert row.status is Status.WARN
    assert edited.text.splitlines()[row.place.line - 1].startswith("id = ")


def test_an_identity_that_was_not_told_is_unknown() -> None:
    edited = organism(("[group]", '[identity]\nscheme = "exec"\ncommand = ["/nowhere/organism"]\n\n[group]'))
    rows = run("fingerprint", loaded=edited, locked=lock(organism()), no_deployment=True)
    assert pick(rows, "FINGERPRINT-UNKNOWN").status is Status.UNKNOWN


def test_a_declared_fingerprint_that_did_not_move_with_its_fields_is_warned_of() -> None:
    pinned = '[identity]\nscheme = "declared"\nfingerprint = "' + "d" * 64 + '"\n\n[group]'
    before = organism(("[group]", pinned))
    after = organism(("[group]", pinned), ("quorum_of_offers = 2", "quorum_of_offers = 3"))
    row = pick(run("fingerprint", loaded=after, locked=lock(before), no_deployment=True), "FINGERPRINT-DRIFT")
    assert row.status is Status.WARN


def test_scope_computes_the_group_id_by_the_hash_in_the_lock() -> None:
    made = scope(locked=lock(organism()), hashed=None)
    assert made.group_id == lock(organism()).deployed.group_id
