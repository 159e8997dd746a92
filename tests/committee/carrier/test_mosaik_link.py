"""A link of the mosaik carrier by itself: what waits, what gives way, what is lost."""

from __future__ import annotations

from organismctl.committee.carrier import mosaik_link
from organismctl.committee.carrier.mosaik_link import MosaikLink, link_id
from organismctl.identity.digest import derive

PEER = b"p" * 32


class Stream:
    """Both ends of a stream, answering as the extension does."""

    def __init__(self) -> None:
        self.word = "sent"
        self.room = 1 << 30
        self.got: list[bytes] = []
        self.peers: list[bytes] = []
        self.closed = False

    def send(self, data: bytes) -> str:
        if self.word == "sent" and self.room <= 0:
            return "full"
        if self.word == "sent":
            self.room -= 1
            self.got.append(data)
        return self.word

    def consumers(self) -> list[bytes]:
        return self.peers

    @property
    def producers(self) -> list[bytes]:
        return self.peers

    def close(self) -> None:
        self.closed = True


def test_frames_wait_while_the_stream_is_full_and_stay_in_order() -> None:
    out, back = Stream(), Stream()
    link = MosaikLink(PEER, out, back)
    out.room = 1
    for frame in (b"1", b"2", b"3"):
        link.send(frame)
    assert (out.got, link.waits) == ([b"1"], True)
    out.room = 1
    link.send(b"4")
    link.flush()
    assert (out.got, link.waits) == ([b"1", b"2"], True)
    out.room = 9
    link.flush()
    assert (out.got, link.waits) == ([b"1", b"2", b"3", b"4"], False)


def test_nobody_subscribed_loses_frames_and_keeps_none() -> None:
    out = Stream()
    link = MosaikLink(PEER, out, Stream())
    out.word = "offline"
    link.send(b"lost")
    assert not link.waits
    out.word, out.room = "sent", 0
    link.send(b"waits")
    out.word = "offline"
    link.flush()
    assert (link.waits, out.got, link.dropped) == (False, [], 0)


def test_what_waits_is_bounded_and_the_oldest_gives_way() -> None:
    out = Stream()
    out.room = 0
    link = MosaikLink(PEER, out, Stream())
    for number in range(mosaik_link.QUEUE_FRAMES + 10):
        link.send(b"%d" % number)
    assert link.dropped == 10
    out.room = 1
    link.flush()
    assert out.got == [b"10"]
    big = bytes(mosaik_link.QUEUE_BYTES // 2)
    for _ in range(3):
        link.send(big)
    assert link.dropped > 10


def test_it_is_up_when_both_streams_stand() -> None:
    out, back = Stream(), Stream()
    link = MosaikLink(PEER, out, back)
    assert not link.up
    out.peers = [PEER]
    assert not link.up
    back.peers = [PEER]
    assert link.up
    link.close()
    assert out.closed
    assert back.closed


def test_the_two_directions_have_ids_of_their_own() -> None:
    a, b, group = b"a" * 32, b"b" * 32, b"g" * 32
    assert link_id(group, a, b) == derive(group, "organismctl/link/1", a, b)
    assert len({link_id(group, a, b), link_id(group, b, a), link_id(b"h" * 32, a, b)}) == 3
