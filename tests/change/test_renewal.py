"""An ordinary renewal: what is asked for, a bundle judged whole, and files placed where deployment.toml says."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from organismctl.change import renewal
from organismctl.change.renewal import files_to_install, install, judge_bundle, make_request, place
from organismctl.committee.client import NodeClient, TicketInfo
from organismctl.errors import InputError, OrganismError, RefusedError
from organismctl.files.deployment import Deployment, load_deployment
from organismctl.files.organism import LoadedOrganism
from organismctl.files.ticket_papers import Issued, TicketBundle
from organismctl.identity.digest import derive, h
from organismctl.identity.fingerprint import stable_id
from organismctl.identity.validator import JWT_CLASS, TDX_CLASS
from tests.check.worlds import (
    DAY_S,
    NEXT_ISSUER,
    NEXT_KEY,
    NOW_S,
    ORGANISM,
    PEERS,
    STABLE,
    organism,
    ticket,
)

NEXT = f"""\
[[span.issuer]]
state = "next"
type = "jwt"
issuers = ["beta-2"]
keys = [{{ alg = "EdDSA", key = "{NEXT_KEY}" }}]

[driver]"""
ISSUER_STANZA = "[[span.issuer]]" + ORGANISM.split("[[span.issuer]]")[1].split("[driver]")[0]
DEPLOYMENT = """\
# Comments of ours stay: why node-a is first.
schema = 1

[[node]]
name = "node-a"   # the oldest
peer_id = "{a}"
[[node]]
name = "node-b"
peer_id = "{b}"

[[span]]                 # who admits us
name = "beta"
[[span.ticket]]
node = "node-a"
file = "tickets/a.ticket"   # not the usual name
"""


@pytest.fixture
def side(tmp_path: Path) -> Deployment:
    path = tmp_path / "deployment.toml"
    path.write_text(DEPLOYMENT.format(a=PEERS["node-a"], b=PEERS["node-b"]))
    return load_deployment(path)


def bundle(*tickets: tuple[str, bytes], stable: str = STABLE, kind: bytes = JWT_CLASS) -> TicketBundle:
    return TicketBundle(
        bytes.fromhex(stable), tuple(Issued(bytes.fromhex(PEERS[name]), kind, data) for name, data in tickets)
    )


def judged(
    side: Deployment, *tickets: tuple[str, bytes], loaded: LoadedOrganism | None = None, **how: Any
) -> Any:
    return judge_bundle((loaded or organism()).config, side, bundle(*tickets), NOW_S, **how)


def refused(side: Deployment, *tickets: tuple[str, bytes], **how: Any) -> str:
    """The refusal's text; nothing was written."""
    before = {path: path.read_bytes() for path in side.path.parent.rglob("*") if path.is_file()}
    with pytest.raises(RefusedError) as caught:
        judged(side, *tickets, **how)
    assert before == {path: path.read_bytes() for path in side.path.parent.rglob("*") if path.is_file()}
    assert caught.value.advice
    for _, data in tickets:
        assert data.decode(errors="replace") not in caught.value.message
    return caught.value.message


def test_a_request_names_every_node_and_what_is_accepted_there(side: Deployment) -> None:
    loaded = organism(('issuers = ["beta"]', 'issuers = ["beta", "b2"]\naudiences = ["them"]'))
    made = make_request(loaded, side, "beta", (), 86_400, b"\x07" * 32)
    assert [holder.node for holder in made.holders] == ["node-a", "node-b"]
    assert made.stable_id.hex() == STABLE
    assert made.issuers == ("beta", "b2")
    assert made.audiences == ("them",)
    assert made.fingerprint == b"\x07" * 32
    only = make_request(loaded, side, "beta", ["node-b"], 86_400, b"\x07" * 32)
    assert [holder.node for holder in only.holders] == ["node-b"]


def test_a_request_that_makes_no_sense_is_refused(side: Deployment) -> None:
    free = organism((ISSUER_STANZA, ""))
    for loaded, span, nodes in (
        (organism(), "gamma", ()),
        (organism(), "beta", ["node-z"]),
        (free, "beta", ()),
    ):
        with pytest.raises(InputError):
            make_request(loaded, side, span, nodes, 60, b"\x07" * 32)


def test_a_good_bundle_is_judged_and_placed(side: Deployment) -> None:
    a, b = ticket("node-a"), ticket("node-b")
    renewed = judged(side, ("node-a", a), ("node-b", b))
    assert [one.verdict.horizon_s for one in renewed] == [NOW_S + 30 * DAY_S] * 2
    assert [one.file for one in renewed] == ["tickets/a.ticket", "tickets/node-b.beta.ticket"]
    assert renewed[0].ticket_id == derive(JWT_CLASS, a)
    assert not (side.path.parent / "tickets").exists()
    place(side, renewed)
    folder = side.path.parent / "tickets"
    assert (folder / "a.ticket").read_bytes() == a
    assert (folder / "node-b.beta.ticket").read_bytes() == b
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    text = side.path.read_text()
    for line in DEPLOYMENT.format(a=PEERS["node-a"], b=PEERS["node-b"]).splitlines():
        assert line in text
    assert load_deployment(side.path).spans[0].tickets[1].file == "tickets/node-b.beta.ticket"
    place(load_deployment(side.path), judged(load_deployment(side.path), ("node-a", a), ("node-b", b)))
    assert side.path.read_text() == text


@pytest.mark.parametrize(
    ("data", "step"),
    [
        (ticket("node-b"), "subject"),
        (ticket("node-a", issuer="mallory"), "issuer"),
        (ticket("node-a", secret=h(b"mallory's key, a test key")), "signature"),
        (ticket("node-a", days=-1), "expired"),
        (ticket("node-a", days=None), "expiry-missing"),
        (ticket("node-a", not_before_s=NOW_S + 60), "not-before"),
        (b"no ticket at all", "parts"),
        (b"\xff\xfe", "utf-8"),
    ],
)
def test_a_ticket_that_would_not_admit_names_the_failing_step(
    side: Deployment, data: bytes, step: str
) -> None:
    assert f"node-a × beta: fails at step {step}" in refused(side, ("node-a", data))


def test_one_bad_ticket_refuses_the_whole_bundle_and_all_faults_are_told(side: Deployment) -> None:
    told = refused(
        side,
        ("node-a", ticket("node-a")),
        ("node-b", ticket("node-b", days=-1)),
        ("node-c", ticket("node-c")),
    )
    assert "nothing was imported" in told
    assert "step expired" in told
    assert f"peer {PEERS['node-c'][:10]}, which is no node of ours" in told


def test_two_tickets_for_one_node_are_refused(side: Deployment) -> None:
    told = refused(side, ("node-a", ticket("node-a")), ("node-a", ticket("node-a", days=20)))
    assert "two tickets are for node-a" in told


def test_an_unknown_spanned_member_is_refused(side: Deployment) -> None:
    with pytest.raises(RefusedError, match="does not span"):
        judge_bundle(organism().config, side, bundle(("node-a", ticket("node-a")), stable="ab" * 32), NOW_S)


def test_a_spanned_member_that_demands_none_or_is_not_in_deployment_is_refused(side: Deployment) -> None:
    assert "demands no ticket" in refused(
        side, ("node-a", ticket("node-a")), loaded=organism((ISSUER_STANZA, ""))
    )
    bare = dataclasses.replace(side, spans=())
    assert "no [[span]] 'beta'" in refused(bare, ("node-a", ticket("node-a")))


def test_a_class_that_the_bytes_are_not_is_refused(side: Deployment) -> None:
    with pytest.raises(RefusedError, match="not of the class"):
        judge_bundle(organism().config, side, bundle(("node-a", ticket("node-a")), kind=TDX_CLASS), NOW_S)


def test_an_earlier_horizon_is_refused_unless_allowed(side: Deployment) -> None:
    place(side, judged(side, ("node-a", ticket("node-a", days=30))))
    earlier = ("node-a", ticket("node-a", days=29))
    assert f"its horizon is {DAY_S} s earlier" in refused(side, earlier)
    (taken,) = judged(side, earlier, allow_earlier=True)
    assert taken.old_horizon_s == NOW_S + 30 * DAY_S
    (same,) = judged(side, ("node-a", ticket("node-a", days=30, token_id="other")))
    assert same.verdict.horizon_s == same.old_horizon_s


def test_a_ticket_that_ends_is_earlier_than_one_that_never_does(side: Deployment) -> None:
    loaded = organism(('issuers = ["beta"]', 'issuers = ["beta"]\nallow_non_expiring = true'))
    place(side, judged(side, ("node-a", ticket("node-a", days=None)), loaded=loaded))
    assert "earlier (never)" in refused(side, ("node-a", ticket("node-a")), loaded=loaded)
    assert judged(side, ("node-a", ticket("node-a")), loaded=loaded, allow_earlier=True)
    assert judged(side, ("node-a", ticket("node-a", days=None, token_id="2")), loaded=loaded)


def test_a_present_file_that_admits_nobody_holds_nothing_up(side: Deployment) -> None:
    path = side.path.parent / "tickets" / "a.ticket"
    path.parent.mkdir()
    for content in (b"junk", ticket("node-a", days=90, issuer="mallory"), b"x" * 100_000):
        path.write_bytes(content)
        (taken,) = judged(side, ("node-a", ticket("node-a", days=1)))
        assert taken.old_horizon_s is None


def test_the_next_issuers_tickets_are_taken_too(side: Deployment) -> None:
    loaded = organism(("[driver]", NEXT))
    data = ticket("node-a", secret=NEXT_ISSUER, issuer="beta-2")
    assert judged(side, ("node-a", data), loaded=loaded)[0].verdict.issuer == "beta-2"
    assert "fails at step" in refused(side, ("node-a", data))
    (taken,) = judged(side, ("node-a", data), loaded=loaded)
    assert taken.ahead
    assert taken.file == "tickets/node-a.beta.next.ticket"
    place(side, [taken])
    named = load_deployment(side.path).span("beta")
    assert named is not None
    assert [one.file for one in named.tickets if one.node == "node-a"] == ["tickets/a.ticket", taken.file], (
        "until the cut-over the present one admits"
    )


def test_a_folder_that_cannot_be_made_is_an_error_with_advice(side: Deployment) -> None:
    renewed = judged(side, ("node-a", ticket("node-a")))
    (side.path.parent / "tickets").write_text("in the way")
    with pytest.raises(OrganismError) as caught:
        place(side, renewed)
    assert "tickets" in caught.value.message


def test_files_to_install_are_the_chosen_ones(side: Deployment) -> None:
    config = organism().config
    data = ticket("node-a")
    with pytest.raises(OrganismError):
        list(files_to_install(config, side, (), ()))
    (side.path.parent / "tickets").mkdir()
    (side.path.parent / "tickets" / "a.ticket").write_bytes(b"\n" + data + b"\n")
    ((node, span, issued),) = files_to_install(config, side, ["beta"], ["node-a"])
    assert (node.name, span, issued.data, issued.ticket_class) == ("node-a", "beta", data, JWT_CLASS)
    assert list(files_to_install(config, side, (), ["node-b"])) == []
    for spans, nodes in ((["gamma"], []), ([], ["node-z"])):
        with pytest.raises(InputError):
            list(files_to_install(config, side, spans, nodes))


def test_a_tdx_tickets_last_bytes_are_kept(side: Deployment) -> None:
    """A zstd frame may end with a byte that is white space in a text."""
    (side.path.parent / "tickets").mkdir()
    (side.path.parent / "tickets" / "a.ticket").write_bytes(b"\x28\xb5\x2f\xfdframe\x20\x0a")
    ((_, _, issued),) = files_to_install(organism().config, side, (), ())
    assert issued.data.endswith(b"\x20\x0a")
    assert issued.ticket_class == TDX_CLASS


class Node:
    """A node's API in memory: what it shows after an installation, look by look."""

    def __init__(self, *looks: Sequence[TicketInfo]) -> None:
        self.looks = list(looks)
        self.installed: list[tuple[str, bytes, bool]] = []

    def install_ticket(self, span: str, ticket_class: bytes, data: bytes, *, replace: bool) -> None:
        self.installed.append((span, data, replace))

    def tickets(self) -> Sequence[TicketInfo]:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]


def seen(data: bytes, *, valid: bool = True, step: str | None = None) -> TicketInfo:
    return TicketInfo("beta", JWT_CLASS, derive(JWT_CLASS, data), None, valid, step)


def put(node: Node, data: bytes, **how: Any) -> None:
    install(
        cast("NodeClient", node), "beta", Issued(b"\x01" * 32, JWT_CLASS, data), **{"deadline_s": 5.0, **how}
    )


def test_an_installation_waits_until_the_node_admits(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(renewal, "time", SimpleNamespace(monotonic=lambda: sum(slept), sleep=slept.append))
    data, waited = ticket("node-a"), list[float]()
    node = Node([], [seen(b"other")], [seen(data, valid=False)], [seen(data)])
    put(node, data, waiting=waited.append)
    assert node.installed == [("beta", data, True)]
    assert len(waited) == len(slept) == 3


def test_an_installation_that_is_refused_or_never_seen_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(renewal, "time", SimpleNamespace(monotonic=lambda: sum(slept), sleep=slept.append))
    data = ticket("node-a")
    with pytest.raises(RefusedError, match="step issuer"):
        put(Node([seen(data, valid=False, step="issuer")]), data)
    with pytest.raises(OrganismError, match="after 5 s"):
        put(Node([]), data)
    assert 4.5 < sum(slept) < 6


# Our own committee.


def test_our_own_committee_is_asked_for_like_a_spanned_member(side: Deployment) -> None:
    made = make_request(organism(), side, None, (), 86_400, bytes(32))
    assert (made.span, made.stable_id) == ("committee", stable_id(organism().config))
    assert [holder.node for holder in made.holders] == ["node-a", "node-b"]
    assert made.issuers == ("acme-admission",)


def test_a_ticket_for_our_own_committee_is_placed_beside_its_node(side: Deployment) -> None:
    data = ticket("node-a", issuer="acme-admission")
    ours = stable_id(organism().config).hex()
    found = judge_bundle(organism().config, side, bundle(("node-a", data), stable=ours), NOW_S)
    assert [one.admission for one in found] == [True]
    place(side, found)
    after = load_deployment(side.path)
    assert after.nodes[0].tickets == ("tickets/node-a.committee.ticket",)
    assert (side.path.parent / "tickets" / "node-a.committee.ticket").read_bytes() == data
    assert "# the oldest" in side.path.read_text()
    place(after, judge_bundle(organism().config, after, bundle(("node-a", data), stable=ours), NOW_S))
    assert load_deployment(side.path).nodes == after.nodes, "named once"


def test_a_ticket_that_acl_refuses_is_not_placed(side: Deployment) -> None:
    ours = stable_id(organism().config).hex()
    with pytest.raises(RefusedError, match="node-a × committee: fails at step issuer"):
        judge_bundle(organism().config, side, bundle(("node-a", ticket("node-a")), stable=ours), NOW_S)
