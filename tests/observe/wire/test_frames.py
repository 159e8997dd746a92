from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from organismctl.observe.snapshot import MALFORMED
from organismctl.observe.wire.faults import WireError
from organismctl.observe.wire.frames import Budget, FrameDecoder, frame


def pieces(data, cuts):
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(edges)]


@settings(deadline=None)
@given(st.lists(st.binary(max_size=50), max_size=8), st.lists(st.integers(0, 10_000), max_size=20))
def test_frames_come_out_as_they_went_in_however_they_are_cut(bodies, cuts):
    decoder, out = FrameDecoder(50), []
    for piece in pieces(b"".join(map(frame, bodies)), cuts):
        decoder.feed(piece)
        while (body := decoder.take()) is not None:
            out.append(body)
    assert out == bodies
    assert decoder.pending == 0


@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(0, 64))
def test_arbitrary_bytes_give_frames_within_the_limit_or_one_error(data, limit):
    decoder = FrameDecoder(limit)
    decoder.feed(data)
    try:
        while (body := decoder.take()) is not None:
            assert len(body) <= limit
    except WireError as exc:
        assert exc.cause == MALFORMED
        assert "at most" in exc.message


def test_byte_by_byte_is_a_frame_all_the_same():
    decoder = FrameDecoder(10)
    for byte in frame(b"trickled!!"):
        assert decoder.take() is None
        decoder.feed(bytes((byte,)))
    assert decoder.take() == b"trickled!!"


def test_a_length_alone_reserves_nothing():
    decoder = FrameDecoder(64 << 20)
    decoder.feed((64 << 20).to_bytes(4, "big"))
    assert decoder.take() is None
    assert decoder.pending == 4


def test_a_budget_ends_for_all_who_share_it():
    budget = Budget(3 << 20)
    budget.take(3 << 20)
    with pytest.raises(WireError, match="already read 3 MiB"):
        budget.take(1)
