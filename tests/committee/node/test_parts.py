"""The node's parts by themselves: decoders, talk, tickets, stores."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from organismctl.committee.evidence import Pointer
from organismctl.committee.fold import Checkpoint
from organismctl.committee.ledger.wire import MalformedError
from organismctl.committee.node import talk
from organismctl.committee.node.change_store import MAX_CHANGE, ChangeStore, FullError
from organismctl.committee.node.decoding import DecodeError, decode_exec
from organismctl.committee.node.settings import Upstream
from organismctl.committee.node.store import NodeStore, Row
from organismctl.committee.node.tickets import TicketStore
from organismctl.errors import InputError
from organismctl.identity.config import Issuer, SpannedMember
from organismctl.identity.jwt import issue_jwt, public_key
from organismctl.identity.validator import JWT_CLASS, TDX_CLASS, JwtKey, JwtValidator, TdxValidator

ids = st.binary(min_size=32, max_size=32)
numbers = st.integers(0, (1 << 64) - 1)
pointers = st.builds(Pointer, ids, ids, numbers, numbers, ids)
signatures = st.binary(min_size=64, max_size=64)
marks = st.builds(talk.Mark, numbers, numbers, ids, signatures)
talks = st.one_of(
    st.builds(talk.VouchAsk, pointers, st.binary(max_size=300)),
    st.builds(talk.Vouched, pointers, signatures),
    st.builds(talk.Denied, pointers),
    st.builds(talk.Marks, st.lists(marks, max_size=4).map(tuple)),
    st.builds(talk.MarksAsk, numbers, numbers, numbers),
)


@given(talks)
def test_talk_round_trips(message: talk.Talk) -> None:
    assert talk.decode(talk.encode(message)) == message


@given(st.binary(max_size=300))
def test_any_talk_is_read_or_refused(data: bytes) -> None:
    try:
        message = talk.decode(data)
    except MalformedError:
        return
    assert talk.encode(message) == data


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("print('no json')", "no clock event"),
        ("print('{\"clock_event\": -1}')", "no clock event"),
        ("import sys; sys.exit(3)", "status 3"),
    ],
)
def test_a_decoder_that_fails_says_why(program: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("organismctl.committee.node.decoding.DECODE_S", 60.0)
    with pytest.raises(DecodeError, match=why):
        asyncio.run(decode_exec((sys.executable, "-c", program), b"data"))


def test_a_decoder_tells_the_clock_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("organismctl.committee.node.decoding.DECODE_S", 60.0)
    program = "import sys; print('{\"clock_event\": %d}' % len(sys.stdin.buffer.read()))"
    assert asyncio.run(decode_exec((sys.executable, "-c", program), b"1234567")) == 7
    for command in ((), ("/nothing/there",)):
        with pytest.raises(DecodeError):
            asyncio.run(decode_exec(command, b""))


def test_a_slow_decoder_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("organismctl.committee.node.decoding.DECODE_S", 0.2)
    with pytest.raises(DecodeError, match="longer"):
        asyncio.run(decode_exec((sys.executable, "-c", "import time; time.sleep(60)"), b""))


def member(*validators: JwtValidator | TdxValidator) -> SpannedMember:
    issuers = tuple(Issuer("current", validator) for validator in validators)
    return SpannedMember("up", "lattice", b"s" * 32, None, "slot", (), issuers)


def test_tickets_of_files_and_installed_ones(tmp_path: Path) -> None:
    seed, peer = b"\x05" * 32, b"p" * 32
    validator = JwtValidator(keys=(JwtKey("EdDSA", public_key("EdDSA", seed)),), issuers=("acme",))
    made = [
        issue_jwt("EdDSA", seed, peer, issued_at_s=1, expires_at_s=expires, issuer="acme")
        for expires in (100, 4_000_000_000)
    ]
    file = tmp_path / "one.ticket"
    file.write_bytes(made[0] + b"\n")
    (tmp_path / "two.ticket").write_bytes(b"\x28\xb5\x2f\xfd and no TDX ticket")
    upstream = Upstream(
        member(validator, TdxValidator()), (), None, (file, tmp_path / "two.ticket", tmp_path / "none.ticket")
    )
    store = TicketStore(tmp_path / "data", peer, b"n" * 32, (upstream,))
    held = store.held(1_000)
    assert [(one.ticket_class, one.verdict.valid) for one in held] == [(JWT_CLASS, False), (TDX_CLASS, False)]
    assert held[0].verdict.failing_step == "expired"
    store.install("up", JWT_CLASS, made[1], replace=False)
    assert len(store.held(1_000)) == 3
    store.install("up", JWT_CLASS, made[1], replace=True)
    (only,) = TicketStore(tmp_path / "data", peer, b"n" * 32, (upstream,)).held(1_000)
    assert only.verdict.valid is True
    for span, data in (("down", b"x"), ("up", b""), ("up", b"x" * 70_000)):
        with pytest.raises(InputError):
            store.install(span, JWT_CLASS, data, replace=False)
    for path in (tmp_path / "data").rglob("*.ticket"):
        assert path.stat().st_mode & 0o777 == 0o600


def test_the_node_store(tmp_path: Path) -> None:
    store = NodeStore(tmp_path)
    assert store.checkpoint() is None
    store.save_checkpoint(Checkpoint(7, b"state", b"d" * 32))
    for seq in range(3):
        store.add(Row(0, seq, seq, 1, b"body"))
    store.add(Row(0, 1, 9, 9, b"another body stays out"))
    store.finish(0, 1, b"", b"one", 5)
    assert store.extent(0) == 0
    store.finish(0, 0, b"", b"zero", 4)
    assert (store.extent(0), store.done_ms(0, 1), store.done_ms(0, 2)) == (2, 5, None)
    store.vouch(b"p")
    store.note_evidence(4, b"pointer", "gone")
    with pytest.raises(RuntimeError), store.together():
        store.put("undone", b"x")
        raise RuntimeError
    store.close()
    again = NodeStore(tmp_path)
    assert again.checkpoint() == Checkpoint(7, b"state", b"d" * 32)
    assert [row.body for row in again.rows(0, 0, 9)] == [b"body"] * 3
    assert again.vouched(b"p")
    assert not again.vouched(b"q")
    assert again.evidence(5) == [(4, b"pointer", "gone")]
    assert again.get("undone") is None
    again.forget_checkpoint()
    assert again.checkpoint() is None
    again.close()


def test_a_change_copy_is_bounded(tmp_path: Path) -> None:
    store = ChangeStore(tmp_path)
    store.put("c", {"id": "c"}, 0, ["x"], 1)
    with pytest.raises(FullError):
        store.put("c", None, 1, ["y" * (MAX_CHANGE + 1)], 2)
    assert store.get("c") == ({"id": "c"}, ["x"])
    store.close()
