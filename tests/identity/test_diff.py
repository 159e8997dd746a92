"""What a change of the config means."""

from dataclasses import replace

import pytest

from organismctl.identity.config import Genesis, IdentityScheme, OrganismConfig
from organismctl.identity.diff import diff
from organismctl.identity.digest import h
from organismctl.identity.validator import JwtValidator
from tests.identity.configs import CONFIG, with_member

BOTH = ("fingerprint", "group_id")
ACL = CONFIG.acl[0]
assert isinstance(ACL, JwtValidator)


@pytest.mark.parametrize(
    ("new", "moves", "verdict", "who"),
    [
        (CONFIG, (), "none", ("nobody",)),
        (with_member(name="label"), (), "none", ("nobody",)),
        (with_member(surfaces=CONFIG.span[0].surfaces[::-1]), (), "none", ("nobody",)),
        (replace(CONFIG, span=CONFIG.span[::-1]), (), "none", ("nobody",)),
        (replace(CONFIG, genesis=Genesis(h(b"r"))), (), "none", ("nobody",)),
        (replace(CONFIG, group=replace(CONFIG.group, sync_batch=7)), ("group_id",), "none", ("our nodes",)),
        (replace(CONFIG, group=replace(CONFIG.group, machine="v2")), ("group_id",), "none", ("our nodes",)),
        (replace(CONFIG, acl=(replace(ACL, max_lifetime_s=60),)), BOTH, "rebind", None),
        (replace(CONFIG, content={"n": 2}), BOTH, "rebuild", None),
        (replace(CONFIG, span=CONFIG.span[:1]), BOTH, "rebuild", None),
        (with_member(content_hash=h(b"p")), BOTH, "rebuild", None),
    ],
)
def test_moves_and_verdict(
    new: OrganismConfig, moves: tuple[str, ...], verdict: str, who: tuple[str, ...] | None
) -> None:
    found = diff(CONFIG, new, h(b"an obviously fake secret"))
    assert (found.moves, found.verdict) == (moves, verdict)
    assert found.actors == who or (who is None and "integrators" in found.actors)
    assert (found.old.fingerprint != found.new.fingerprint) == ("fingerprint" in moves)
    assert (found.old_group != found.new_group) == ("group_id" in moves)


def test_each_changed_path_is_told_with_both_values() -> None:
    found = diff(CONFIG, replace(CONFIG, content={"m": "x"}, name="b"))
    told = {change.path: (change.old, change.new, change.moves) for change in found.changes}
    assert told == {
        "name": ("acme.test", "b", BOTH),
        "content.n": ("1", None, BOTH),
        "content.m": (None, '"x"', BOTH),
    }
    assert found.old_group is None and found.new_group is None


def test_under_a_declared_identity_only_what_is_declared_moves_it() -> None:
    one = replace(CONFIG, identity=IdentityScheme("declared", h(b"f"), h(b"s"), h(b"m"), {"facts": h(b"i")}))
    quiet = diff(one, replace(one, content={"n": 5}, group=replace(one.group, machine="v9")), h(b"secret"))
    assert (quiet.moves, quiet.verdict) == ((), "none")
    assert {change.path for change in quiet.changes} == {"content.n", "group.machine"}
    assert quiet.old_group == quiet.new_group
    acl = diff(one, replace(one, acl=(replace(ACL, max_lifetime_s=60),)), h(b"secret"))
    assert (acl.moves, acl.verdict) == (("group_id",), "none")
    assert acl.old_group != acl.new_group
    pin = diff(one, replace(one, identity=replace(one.identity, fingerprint=h(b"g"))))
    assert (pin.moves, pin.verdict) == (("fingerprint",), "rebuild")
    assert pin.changes[0].path == "identity.fingerprint"
    surface = diff(one, replace(one, identity=replace(one.identity, surface_ids={"facts": h(b"j")})))
    assert (surface.moves, surface.verdict, surface.actors) == ((), "rebind", ("integrators",))
    scheme = diff(CONFIG, one)
    assert "identity.scheme" in {change.path for change in scheme.changes}
    assert scheme.verdict == "rebuild"
