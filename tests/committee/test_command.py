"""The two forms of a command."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from organismctl.committee.command import (
    MAX_EVENT,
    Barrier,
    CommandError,
    Genesis,
    Lease,
    Observe,
    Roster,
    Schedule,
    Tick,
    command_from_json,
    command_to_json,
    decode_command,
    encode_command,
)
from organismctl.committee.ledger.entry import BARRIER, application
from organismctl.committee.ledger.roster import GenesisRecord, RosterChange
from organismctl.committee.moment import Moment

from .worlds import FINGERPRINT, FOUNDERS, any_command, observe


@given(any_command)
def test_bytes_round_trip(command):
    data = encode_command(command)
    assert decode_command(data) == command
    assert encode_command(decode_command(data)) == data


@given(any_command)
def test_json_round_trips(command):
    value = json.loads(json.dumps(command_to_json(command)))
    assert command_from_json(value) == command


@given(any_command, any_command)
def test_encoding_is_injective(one, other):
    assert (one == other) == (encode_command(one) == encode_command(other))


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: b"\x00\x01\x00" + tail))
def test_any_bytes_decode_or_are_refused(data):
    try:
        command = decode_command(data)
    except CommandError:
        return
    assert encode_command(command) == data


@given(any_command, st.data())
def test_a_damaged_command_is_another_command_or_none(command, data):
    whole = bytearray(encode_command(command))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(CommandError):
        assert decode_command(bytes(whole)) != command
    with pytest.raises(CommandError):
        decode_command(encode_command(command) + b"\0")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(_json)
def test_any_json_is_read_or_refused(value):
    with pytest.raises(CommandError):
        command_from_json(value)


@given(any_command, st.data())
def test_a_command_with_a_foreign_value_is_refused_or_valid(command, data):
    value = command_to_json(command)
    key = data.draw(st.sampled_from(sorted(value)))
    value[key] = data.draw(_json)
    try:
        read = command_from_json(value)
    except CommandError:
        return
    assert decode_command(encode_command(read)) is not None


def test_the_ledgers_own_entries_have_its_encoding():
    assert encode_command(Barrier()) == BARRIER
    change = RosterChange.parse(encode_command(Roster(action="add", peer_id=FOUNDERS[0], incarnation=7)))
    assert (change.action, change.peer, change.incarnation) == ("add", FOUNDERS[0], 7)
    record = GenesisRecord.parse(encode_command(Genesis(fingerprint=FINGERPRINT, members=FOUNDERS)))
    assert (record.fingerprint, record.roster, record.extra) == (FINGERPRINT, FOUNDERS, b"")


def test_the_bytes_of_a_tick():
    assert encode_command(Tick(unix_ms=300, request_id="r")).hex() == "00" + "01" + "010172" + "02" + "ac02"


def test_a_wish_for_a_version_is_for_the_door_only():
    wish = command_from_json({"type": "roster", "action": "add", "peer_id": "aa" * 32, "version": 3})
    assert wish.version == 3
    assert decode_command(encode_command(wish)).version is None


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([], "JSON object"),
        ({"type": "nothing"}, "type: one of genesis"),
        ({"type": "tick"}, "unix_ms: an integer from 0"),
        ({"type": "tick", "unix_ms": True}, "unix_ms: an integer from 0"),
        ({"type": "tick", "unix_ms": 1, "secret": 1}, "unknown key 'secret'; known: unix_ms"),
        ({"type": "drain", "peer_id": "AA" * 32, "drained": True}, "peer_id: 64 lowercase hex"),
        (
            {"type": "schedule", "effective_at": "tomorrow", "reason": ""},
            "effective_at: a time with its zone",
        ),
        (
            {"type": "lease", "action": "steal", "change": "c", "holder": "h", "fence": 0, "ttl_ms": 1},
            "one of",
        ),
        ({"type": "barrier", "request_id": ""}, "request_id: printable text of 1 to 128 bytes"),
    ],
)
def test_json_faults_say_where_and_what_is_allowed(value, says):
    with pytest.raises(CommandError) as caught:
        command_from_json(value)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "command",
    [
        Tick(unix_ms=-1),
        Tick(unix_ms=2**60),
        Lease(action="steal", change="c", holder="h"),
        Lease(action="acquire", change="", holder="h"),
        Lease(action="acquire", change="a\x1b[0m", holder="h"),
        Schedule(effective_at=Moment(None)),
        Genesis(fingerprint=FINGERPRINT, members=()),
        Genesis(fingerprint=FINGERPRINT, members=FOUNDERS[::-1]),
        Genesis(fingerprint=b"short", members=FOUNDERS),
        Roster(action="remove", peer_id=FOUNDERS[0], incarnation=1),
        Observe(pointer=observe().pointer, event=b"x" * (MAX_EVENT + 1), vouches=()),
    ],
)
def test_out_of_bounds_is_not_encoded(command):
    with pytest.raises(CommandError):
        encode_command(command)


def test_a_later_format_says_what_to_do():
    with pytest.raises(CommandError) as caught:
        decode_command(application(b"\x02\x00\x00"))
    assert caught.value.advice == "update organismctl on this node"
