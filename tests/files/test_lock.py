"""organism.lock: what is written is read back, and stanzas move as they should."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from organismctl.errors import InputError
from organismctl.files.atomic import PathError
from organismctl.files.lock import (
    LockFile,
    Stanza,
    load_lock,
    make_stanza,
    parse_lock,
    render_lock,
    write_lock,
)

NOW = datetime(2026, 11, 24, 10, 30, 15, 999, tzinfo=timezone(timedelta(hours=2)))
FIELDS = {"name": "11" * 32, 'span["x"].stable_id': "22" * 32, "group.heartbeat_ms": "33" * 32}


def stanza(byte: str = "aa", reason: str = "first") -> Stanza:
    return make_stanza(
        fingerprint=bytes.fromhex(byte * 32),
        fields=FIELDS,
        group_id=None,
        accepted_by="alice@acme",
        reason=reason,
        now=NOW,
    )


def test_stanza_splits_the_inputs_of_the_group_id() -> None:
    one = stanza()
    assert set(one.fields) == {"name", 'span["x"].stable_id'}
    assert one.group_inputs == {"heartbeat_ms": b"\x33" * 32}
    assert one.field_digests() == FIELDS
    assert one.group_id_unknown
    assert one.accepted_at == datetime(2026, 11, 24, 8, 30, 15, tzinfo=UTC)


def test_accept_promote_baseline() -> None:
    one, two = stanza(), stanza("bb", "second")
    lock = LockFile()
    assert lock.baseline() is None
    lock = lock.accept(one)
    assert lock.baseline() == one
    lock = lock.promote()
    assert (lock.deployed, lock.next) == (one, None)
    lock = lock.accept(two)
    assert lock.baseline() == two
    assert lock.accept(stanza(reason="back again")).next is None
    done = lock.promote(two.fingerprint)
    assert done.deployed == two
    assert done.promote(two.fingerprint) == done
    with pytest.raises(InputError, match="next holds nothing"):
        done.promote()
    with pytest.raises(InputError, match="next holds bb"):
        lock.promote(b"\xcc" * 32)


def test_a_reason_and_a_name_are_needed() -> None:
    with pytest.raises(InputError, match="reason"):
        stanza(reason=" \n\t")
    with pytest.raises(InputError, match="nobody"):
        make_stanza(fingerprint=b"", fields={}, group_id=None, accepted_by=" ", reason="x", now=NOW)


def test_write_and_load(tmp_path: Path) -> None:
    path = tmp_path / "organism.lock"
    with pytest.raises(PathError, match="no such file"):
        load_lock(path)
    lock = LockFile(group_secret_hash=b"\x05" * 32).accept(stanza()).promote().accept(stanza("bb"))
    write_lock(path, lock)
    assert load_lock(path) == lock
    assert render_lock(load_lock(path)) == path.read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["organism.lock"]


def test_what_cannot_be_read_back_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "organism.lock"
    with pytest.raises(InputError):
        write_lock(path, LockFile(deployed=replace(stanza(), reason="two\nlines")))
    assert not path.exists()


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("schema = 1", "schema = 2", "schema"),
        ("group_id_unknown", "group_id_unknwn", "deployed.group_id"),
        ('fingerprint = "aa', 'fingerprint = "a', "deployed.fingerprint"),
        ("08:30:15Z", "08:30:15", "deployed.accepted_at"),
        ('"name" = "11', '"name" = "1', "deployed.fields.name"),
        ("[deployed.fields]", "[deployed.felds]", "deployed.felds"),
    ],
)
def test_a_damaged_lock_names_its_lines(old: str, new: str, key: str) -> None:
    text = render_lock(LockFile(deployed=stanza()))
    assert old in text
    with pytest.raises(InputError) as caught:
        parse_lock(text.replace(old, new, 1))
    assert key in [one.key for one in caught.value.problems]


TEXTS = st.text(max_size=30)


@given(reason=TEXTS, who=TEXTS, keys=st.lists(st.text(min_size=1), unique=True, max_size=4), note=TEXTS)
def test_any_text_survives(reason: str, who: str, keys: list[str], note: str) -> None:
    fields = dict.fromkeys(keys, "ab" * 32)
    try:
        one = make_stanza(
            fingerprint=bytes(32),
            fields=fields,
            group_id=bytes(32),
            accepted_by=who,
            reason=reason,
            now=NOW,
            announcement=note,
        )
    except InputError:
        return
    lock = LockFile(deployed=one)
    assert parse_lock(render_lock(lock)) == lock
    assert one.field_digests() == fields
