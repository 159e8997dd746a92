"""What ``inspect`` shows: a network as its own signed catalogs tell it. One value, as JSON and as text.

Tickets are decoded without being trusted: what they claim is shown, never their bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from organismctl.check.values import duration, hex_id, listed, moment, plural, short, table, text, whole
from organismctl.exits import Exit
from organismctl.report.text import aligned, clean

if TYPE_CHECKING:
    from organismctl.check.wire_view import Door, WirePeer, WireTicket, WireView
    from organismctl.observe.snapshot import Fact, Snapshot

INSPECT_SCHEMA = 1
SHOWN_PROBLEMS = 20


def inspect_json(snapshot: Snapshot, view: WireView, network: Mapping[str, str | None]) -> dict[str, Any]:
    """The published form (``docs/schemas/inspect.schema.json``).

    Args:
        snapshot: The look.
        view: The same, read.
        network: ``text`` and ``id`` as the operator named them; both ``None`` when not named.
    """
    networks = sorted({peer.network for peer in view.peers.values() if peer.network is not None})
    peers = sorted(view.peers.values(), key=lambda peer: (peer.observer, peer.peer_id))
    unseen = [_unseen(fact) for fact in view.unseen.values()]
    value: dict[str, Any] = {
        "schema": INSPECT_SCHEMA,
        "network": {**network, "seen": networks},
        "taken_ms": snapshot.taken_ms,
        "exit": 0,
        "entry_points": [_door(door) for door in view.doors],
        "peers": [_peer(peer, view) for peer in peers],
        "groups": _by_id("group_id", {peer.peer_id: peer.groups for peer in peers}),
        "streams": _by_id("stream_id", {peer.peer_id: peer.streams for peer in peers}),
        "heard": [_heard(fact) for fact in view.streams],
        "unseen": unseen,
    }
    value["exit"] = int(_exit(value))
    return value


def _exit(value: Mapping[str, Any]) -> Exit:
    """Incomplete when an entry point or a stream was not seen, or something that was sent does not prove."""
    doors = value["entry_points"]
    whole_view = doors and all(door["answered"] and not door["problems"] for door in doors)
    heard = all(one["reason"] is None for one in value["heard"])
    return Exit.OK if whole_view and heard and not value["unseen"] else Exit.UNKNOWN


def _door(door: Door) -> dict[str, Any]:
    return {
        "entry_point": door.subject,
        "peer_id": door.peer_id,
        "answered": door.answered,
        "entries": door.entries,
        "problems": [{"peer_id": peer, "what": what} for peer, what in door.problems],
        "reason": door.reason,
        "cause": door.cause,
    }


def _peer(peer: WirePeer, view: WireView) -> dict[str, Any]:
    return {
        "peer_id": peer.peer_id,
        "network": peer.network,
        "version": peer.version,
        "started_ms": peer.started_ms,
        "updated_ms": peer.updated_ms,
        "addresses": list(peer.addresses),
        "relays": list(peer.relays),
        "tags": list(peer.tags),
        "streams": list(peer.streams),
        "groups": list(peer.groups),
        "tickets": [_ticket(one, peer.peer_id) for one in peer.tickets],
        "observer": peer.observer,
        "told_by": list(peer.told_by),
        "missed_by": view.missed_by(peer),
    }


def _ticket(ticket: WireTicket, peer_id: str) -> dict[str, Any]:
    """What a ticket claims; ``problem`` when it does not decode."""
    from organismctl.identity.validator import JWT_CLASS, TDX_CLASS

    kind = {JWT_CLASS.hex(): "jwt", TDX_CLASS.hex(): "tdx"}.get(ticket.class_, "other")
    row: dict[str, Any] = {
        "class": ticket.class_, "ticket_id": ticket.ticket_id, "kind": kind, "issuer": None, "holder": None,
        "for_this_peer": None, "issued_at_s": None, "not_before_s": None, "expires_at_s": None,
        "never_expires": None, "problem": None,
    }  # fmt: skip
    if ticket.data is None:
        return row | {"problem": "its bytes are not here"}
    try:
        row |= _claims(kind, ticket.data)
    except ValueError as error:
        row["problem"] = str(error)
    if row["holder"] is not None:
        row["for_this_peer"] = row["holder"] == peer_id
    return row


def _claims(kind: str, data: bytes) -> dict[str, Any]:
    if kind == "jwt":
        from organismctl.identity.jwt import inspect_jwt

        claims = inspect_jwt(data).registered
        return {
            "issuer": claims.get("iss"), "holder": claims.get("sub"), "issued_at_s": claims.get("iat"),
            "not_before_s": claims.get("nbf"), "expires_at_s": claims.get("exp"), "never_expires": "exp" not in claims,
        }  # fmt: skip
    if kind == "tdx":
        from organismctl.identity.tdx import decode_tdx

        ticket = decode_tdx(data)
        return {
            "holder": ticket.peer_id.hex(), "issued_at_s": ticket.quoted_at_s, "expires_at_s": ticket.expires_at_s,
            "never_expires": ticket.expires_at_s is None,
        }  # fmt: skip
    return {"problem": "a class that this tool does not know"}


def _by_id(key: str, held: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Ids to the peers that name them, those with most peers first."""
    found: dict[str, list[str]] = {}
    for peer_id, ids in held.items():
        for one in ids:
            found.setdefault(one, []).append(peer_id)
    rows = [{key: one, "peers": peers} for one, peers in found.items()]
    return sorted(rows, key=lambda row: (-len(row["peers"]), row[key]))


def _heard(fact: Fact) -> dict[str, Any]:
    stream, _, peer = fact.subject.partition("@")
    told = table(fact.value)
    marker = told.get("marker")
    return {
        "stream_id": stream,
        "peer_id": hex_id(peer),
        "items": whole(told.get("items")),
        "bytes": whole(told.get("bytes")),
        "listened_ms": whole(told.get("listened_ms")),
        "rate_per_s": told.get("rate_per_s"),
        "last_ms": whole(told.get("last_ms")),
        "last_seq": whole(told.get("last_seq")),
        "marker": None
        if marker is None
        else {key: one for key, one in table(marker).items() if key != "item"},
        "ended": text(table(told.get("ended")).get("what")),
        "reason": fact.reason,
        "cause": fact.cause,
    }


def _unseen(fact: Fact) -> dict[str, Any]:
    return {"peer_id": fact.subject, "reason": fact.reason, "cause": fact.cause}


def inspect_text(value: Mapping[str, Any], width: int, now_ms: int) -> str:
    """The same for a person, on a page of ``width`` columns."""
    parts = [_head(value), _doors(value, width)]
    if value["peers"]:
        parts += ["\n", _peers(value, width, now_ms)]
    tickets = [(peer["peer_id"], one) for peer in value["peers"] for one in peer["tickets"]]
    if tickets:
        parts += ["\n", "tickets, by what they claim (signatures are not judged here)\n"]
        rows = [_ticket_row(peer_id, one, now_ms) for peer_id, one in tickets]
        parts.append(aligned(rows, ("PEER", "KIND", "TICKET", "ISSUER", "UNTIL"), width, most=24))
    for title, key in (("GROUP", "group_id"), ("STREAM", "stream_id")):
        if found := value[f"{title.lower()}s"]:
            parts += ["\n", aligned([_id_row(key, one) for one in found], (title, "PEERS"), width)]
    if value["heard"]:
        rows = [_heard_row(one, now_ms) for one in value["heard"]]
        parts += ["\n", aligned(rows, ("STREAM", "OF", "HEARD"), width)]
    return "".join([*parts, "\n", _foot(value, width)])


def _head(value: Mapping[str, Any]) -> str:
    named, seen = value["network"], value["network"]["seen"]
    if named["id"] is not None:
        words = named["text"] if named["text"] not in (None, named["id"]) else ""
        return clean(f"network {words} {short(named['id'])}".replace("  ", " ")) + "\n"
    return f"network {listed([short(one) for one in seen]) or 'unknown'} (as its peers say)\n"


def _point(text_: str) -> str:
    peer, at, where = text_.partition("@")
    return f"{peer[:10]}{at}{where}"


def _doors(value: Mapping[str, Any], width: int) -> str:
    rows = []
    for door in value["entry_points"]:
        state = "ok" if door["answered"] else "unknown"
        told = _entries(door["entries"]) if door["answered"] else door["reason"] or "not seen"
        if door["problems"]:
            state, told = "bad", f"{told}; {plural(len(door['problems']), 'problem')}"
        rows.append((_point(door["entry_point"]), state, told))
    return aligned(rows, ("ENTRY POINT", "STATE", "TOLD"), width)


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"


def _peers(value: Mapping[str, Any], width: int, now_ms: int) -> str:
    answered = sum(door["answered"] for door in value["entry_points"])
    rows = []
    for peer in value["peers"]:
        up = "-" if peer["started_ms"] is None else duration(now_ms - peer["started_ms"])
        where = ", ".join((*peer["addresses"], *peer["relays"])) or "none"
        rows.append(
            (
                peer["peer_id"][:10],
                peer["version"],
                up,
                str(len(peer["streams"])),
                str(len(peer["groups"])),
                str(len(peer["tickets"])),
                f"{len(peer['told_by'])} of {answered}",
                f"{where} (observer)" if peer["observer"] else where,
            )
        )
    head = ("PEER", "MOSAIK", "UP", "STRM", "GRP", "TKT", "TOLD BY", "ADDRESSES")
    return aligned(rows, head, width, most=16)


def _ticket_row(peer_id: str, one: Mapping[str, Any], now_ms: int) -> tuple[str, ...]:
    end = one["expires_at_s"]
    if one["problem"] is not None:
        until = one["problem"]
    elif end is None:
        until = "never ends"
    else:
        left = end * 1000 - now_ms
        until = f"{moment(end * 1000)}, {f'{duration(left)} left' if left > 0 else f'{duration(left)} ago'}"
    if one["for_this_peer"] is False:
        until += f"; its subject is {clean(str(one['holder']))[:10]}, not this peer"
    return peer_id[:10], one["kind"], one["ticket_id"][:10], one["issuer"] or "-", until


def _id_row(key: str, one: Mapping[str, Any]) -> tuple[str, str]:
    peers = [peer[:10] for peer in one["peers"]]
    return one[key][:10], f"{len(peers)}: {listed(peers, 12)}"


def _heard_row(one: Mapping[str, Any], now_ms: int) -> tuple[str, str, str]:
    if one["reason"] is not None:
        whose = " (the observer's side)" if one["cause"] == "observer" else ""
        said = f"unknown: {one['reason']}{whose}"
    else:
        said = plural(one["items"] or 0, "item")
        if isinstance(one["rate_per_s"], int | float) and one["items"]:
            said += f", {one['rate_per_s']:.3g} per s"
        if one["last_ms"] is not None:
            said += f", last {duration(now_ms - one['last_ms'])} ago"
        said += f", seq {one['last_seq']}" if one["last_seq"] is not None else ""
        said += "; the RetirementMarker is its last item" if one["marker"] is not None else ""
        said += f"; it ended: {one['ended']}" if one["ended"] is not None else ""
    return one["stream_id"][:10], (one["peer_id"] or "-")[:10], said


def _foot(value: Mapping[str, Any], width: int) -> str:
    rows = [
        ((one["peer_id"] or "")[:10], f"{one['what']} (told by {_point(door['entry_point'])})")
        for door in value["entry_points"]
        for one in door["problems"]
    ]
    rows += [(one["peer_id"][:10], one["reason"] or "not seen") for one in value["unseen"]]
    only = [peer for peer in value["peers"] if peer["missed_by"]]
    rows += [
        (peer["peer_id"][:10], f"known to {listed([_point(one) for one in peer['told_by']], 2)} only")
        for peer in only
    ]
    end = f"{plural(len(value['peers']), 'peer')}; exit {value['exit']}\n"
    if not rows:
        return f"problems: none; {end}"
    more = (
        f"and {len(rows) - SHOWN_PROBLEMS} more: --format json lists them\n"
        if len(rows) > SHOWN_PROBLEMS
        else ""
    )
    return aligned(rows[:SHOWN_PROBLEMS], ("PROBLEM OF", "WHAT"), width) + more + end
