"""organism.toml: what it gives, and every refusal with its line."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from organismctl.errors import InputError, OrganismError, Problem
from organismctl.files.organism import LoadedOrganism, load_organism, parse_organism
from organismctl.identity.digest import uid
from organismctl.identity.fingerprint import field_digests
from organismctl.identity.parameters import canonical_parameters
from organismctl.identity.validator import JwtValidator, TdxValidator

PATH = Path(__file__).parents[2] / "docs" / "formats" / "organism.toml"
TEXT = PATH.read_text()
HEX = "0123456789abcdef" * 4


def changed(old: str, new: str, count: int = 1) -> str:
    assert old in TEXT
    return TEXT.replace(old, new, count)


def problems(text: str) -> list[Problem]:
    with pytest.raises(InputError) as caught:
        parse_organism(text)
    assert caught.value.problems
    return list(caught.value.problems)


def only(text: str) -> Problem:
    found = problems(text)
    assert len(found) == 1, [str(one) for one in found]
    return found[0]


def line_of(text: str, piece: str) -> int:
    return next(i for i, line in enumerate(text.splitlines(), 1) if piece in line)


def test_example() -> None:
    loaded = load_organism(PATH)
    config = loaded.config
    assert loaded.path == PATH
    assert loaded.warnings == ()
    assert config.network == uid("mosaik.universe")
    assert config.network_text == "mosaik.universe"
    assert [member.name for member in config.span] == ["acme-mainnet", "beta-auctions"]
    assert config.span[0].content_hash is None
    assert config.span[1].content_hash is not None
    assert config.span[0].surfaces[0].id == uid("acme.mainnet.offers")
    assert config.driver.period_ms == 1000
    assert config.content == {"quorum_of_offers": 2}
    assert isinstance(config.acl[0], JwtValidator)
    assert config.acl[0].max_lifetime_s == 30 * 86400
    assert config.span[1].issuers[0].state == "current"
    assert loaded.line("span[1].surface[0].type") == 31
    assert loaded.line("driver.stall") == line_of(TEXT, "stall")


def test_every_field_of_the_lock_has_a_line_in_the_file() -> None:
    loaded = load_organism(PATH)
    lines = {path: loaded.line(path) for path in field_digests(loaded.config)}
    assert [path for path, line in lines.items() if line is None] == ["prefix"]
    second = loaded.config.span[1].stable_id.hex()
    assert lines[f"span[{second}].content_hash"] == line_of(TEXT, "content_hash =")
    assert lines["span.count"] == line_of(TEXT, "[[span]]")
    assert lines["driver.stall"] == line_of(TEXT, "stall = ")
    assert lines["group.sync_batch"] == line_of(TEXT, "sync = ")
    assert loaded.line(f"span[{HEX}].kind") == line_of(TEXT, "[[span]]")


def test_defaults_are_the_normalised_values() -> None:
    bare = changed('period = "1s"', "#").replace('apply_deadline = "2s"', "#").replace('stall = "wait"', "#")
    assert parse_organism(bare).config == parse_organism(TEXT).config


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ("schema = 1", "schema = 2", "schema", "2"),
        ('name = "acme.settlement"', f'name = "{HEX}"', "name", "taken for an id"),
        ('name = "acme.settlement"', 'name = "e\\u0301"', "name", "NFC"),
        ('name = "acme.settlement"', 'name = "a\\nb"', "name", "on one line"),
        ('name = "acme.settlement"', "name = 7", "name", "found 7"),
        ('name = "acme-mainnet"', f'name = "{HEX.upper()}"', "span[0].name", "taken for an id"),
        ('kind = "lattice"', 'kind = "latice"', "span[0].kind", "did you mean 'lattice'"),
        ('clock = "slot"', 'clock = "epoch"', "span[0].clock", "slot | tick"),
        ('stable_id = "70f9', 'stable_id = "x0f9', "span[0].stable_id", "64 hex characters"),
        ('stable_id = "70f9', 'stable_id = "0f9', "span[0].stable_id", "63 hex characters"),
        ('type = "stream"', 'type = "steam"', "span[0].surface[0].type", "did you mean 'stream'"),
        ('decode = "surface-item"', 'decode = "exec"', "span[0].surface[0].command", "argv"),
        ('decode = "surface-item"', 'command = ["x"]', "span[0].surface[0].command", "decode"),
        ('state = "current"', 'state = "next"', "span[0].issuer", 'at least one state = "current"'),
        ('issuers = ["acme"]', 'issuers = ["a,b"]', "span[0].issuer[0].issuers[0]", "comma"),
        ('issuers = ["acme"]', 'issuers = [""]', "span[0].issuer[0].issuers[0]", "comma"),
        ('issuers = ["acme"]', 'issuers = ["a", "a"]', "span[0].issuer[0].issuers[1]", "once"),
        ('issuers = ["acme"]', 'subject = ""', "span[0].issuer[0].subject", "not empty"),
        ('alg = "ES256"', 'alg = "ES256K"', "span[0].issuer[0].keys[0].alg", "ES256"),
        ('key = "0298', 'key = "0498', "span[0].issuer[0].keys[0].key", "SEC1"),
        ('alg = "ES256"', 'alg = "ES384"', "span[0].issuer[0].keys[0].key", "49 bytes"),
        ('max_age = "90d"', 'max_age = "0s"', "span[1].issuer[0].max_age", "1000 ms"),
        ('max_age = "90d"', 'max_age = "1500ms"', "span[1].issuer[0].max_age", "whole seconds"),
        ('max_age = "90d"', 'max_age = "90 days"', "span[1].issuer[0].max_age", "a duration"),
        ('max_age = "90d"', "claims = { exp = 1 }", "span[1].issuer[0].claims.exp", "private claim"),
        ('max_age = "90d"', "claims = { r = 1.5 }", "span[1].issuer[0].claims.r", "float"),
        ('max_age = "90d"', "claims = { r = [1] }", "span[1].issuer[0].claims.r", "array"),
        ('fold = "join"', 'fold = "merge"', "driver.fold", "join | fan-in | ticker"),
        ('fold = "join"', 'fold = "ticker"', "driver.fold", "when there are spanned members"),
        ('period = "1s"', 'period = "0s"', "driver.period", "more than zero"),
        ("quorum_of_offers = 2", "q = 2.5", "content.q", "2.5 (float)"),
        ("quorum_of_offers = 2", "q = [1, 1979-05-27]", "content.q[1]", "(date)"),
        ("quorum_of_offers = 2", "q = 9007199254740992", "content.q", "2^53"),
        ("quorum_of_offers = 2", 'q = {"e\\u0301" = 1}', 'content.q."e\u0301"', "NFC"),
        ("quorum_of_offers = 2", 'q = "e\\u0301"', "content.q", "NFC"),
        ("quorum_of_offers = 2", ".".join("a" * 80) + " = 1", "content." + ".".join("a" * 65), "nested"),
        ("[[acl]]", "[[acle]]", "acle", "did you mean 'acl'"),
        ('type = "jwt"                           #', 'type = "jwk" #', "acl[0].type", "jwt | tdx"),
        ("max_lifetime = ", "max_lifetme = ", "acl[0].max_lifetme", "did you mean 'max_lifetime'"),
        ('heartbeat = "500ms"', 'heartbeat = "0ms"', "group.heartbeat", "more than zero"),
        ('jitter = "150ms"', 'jitter = "0ms"', "group.heartbeat_jitter", "more than zero"),
        ("heartbeats = 10", "heartbeats = true", "group.max_missed_heartbeats", "integer"),
        ('fetch_timeout = "25s"', 'fetch_timeout = "1500ms"', "group.sync.fetch_timeout", "whole seconds"),
        ('url = "https', 'url = "gopher', "change_channel.url", "https"),
        ("ssh-ed25519 AAAA", "-----BEGIN PRIVATE KEY----- AAAA", "change_channel.signers[0]", "not shown"),
        ('roster = "4586', 'roster = "586', "genesis.roster", "64 hex"),
        ('scheme = "organismctl/1"', 'scheme = "declared"', "identity.fingerprint", "missing"),
        ('scheme = "organismctl/1"', 'scheme = "exec"', "identity.command", "missing"),
        ('scheme = "organismctl/1"', 'command = ["x"]', "identity.command", "exec"),
    ],
)  # fmt: skip
def test_refusals_name_key_line_and_what_is_allowed(old: str, new: str, key: str, says: str) -> None:
    text = changed(old, new)
    found = [one for one in problems(text) if one.key == key]
    assert len(found) == 1, [str(one) for one in problems(text)]
    assert says in str(found[0])
    assert found[0].line is not None
    if found[0].found is not None and not key.endswith("issuer"):
        assert found[0].line == line_of(text, new)


def test_every_problem_at_once_in_the_order_of_the_file() -> None:
    text = (
        changed('kind = "lattice"', 'kind = "x"')
        .replace('"150ms"', '"0ms"')
        .replace('name = "acme.set', 'nam = "')
    )
    found = problems(text)
    assert [one.key for one in found] == ["name", "nam", "span[0].kind", "group.heartbeat_jitter"]
    assert found[0].line is None
    assert found[0].found is None
    assert found[1].hint == "name"


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_shared_secrets_are_refused_and_never_shown(alg: str) -> None:
    secret = "5ec4e7" * 10 + "5ec4"
    public = "cd866a5879bee75294fb9aba313d160f6855263ac60c20d7cf71142aef063a23"
    text = changed(f'alg = "EdDSA", key = "{public}"', f'alg = "{alg}", key = "{secret}"')
    problem = only(text)
    assert problem.key == "span[1].issuer[0].keys[0].key"
    assert "fingerprint" in problem.allowed
    assert secret[:12] not in str(problem)
    good = parse_organism(text.replace(f'key = "{secret}"', f'fingerprint = "{HEX}"'))
    validator = good.config.span[1].issuers[0].validator
    assert isinstance(validator, JwtValidator)
    assert validator.keys[0].key_id() == bytes.fromhex(HEX)


@pytest.mark.parametrize("value", ['"5ec4e75ec4e7"', '"5ec4e7 not hex"', "[1]"])
def test_a_key_is_never_shown_whatever_is_wrong_with_it(value: str) -> None:
    old = 'alg = "ES256", key = "0298a82ebe69ad57e0f7d5c2809a05188ff58572c5a5009015f26643f91e0d3236"'
    found = problems(changed(old, f'alg = "HS999", key = {value}'))
    assert "5ec4e7" not in "".join(str(one) for one in found)


def test_empty_acl_is_refused() -> None:
    start = TEXT.index("[[acl]]")
    without = TEXT[:start] + TEXT[TEXT.index("[group]") :]
    assert only(without).key == "acl"
    assert only("acl = []\n" + without).found == "0 of them"


def test_surfaces_one_or_two() -> None:
    one = '[[surface]]\nname = "n{}"\ntype = "map"\n'
    assert len(parse_organism(TEXT + one.format(1)).config.surfaces) == 2
    assert "1 to 2" in only(TEXT + one.format(1) + one.format(2)).allowed
    assert only(TEXT + one.replace("n{}", "facts")).key == "surface[1].name"
    both = changed(
        'name = "facts"\ntype = "stream"                        #', 'name="facts"\nid="same"\ntype="stream" #'
    )
    assert only(both + one + 'id = "same"\n').key == "surface"


def test_duplicate_stable_ids_and_labels() -> None:
    one = "70f948f962295519ca2422c339dd1e5abf191538f593d6a10fb2f5c7d5c4364f"
    two = "85e839ce5099ccecaf7b9b5d296cdb497d32a245960a7b0a0dcc583ed1c90bb9"
    problem = only(changed(two, one.upper()))
    assert problem.key == "span[1].stable_id"
    assert "span[0]" in str(problem)
    assert only(changed('name = "beta-auctions"', 'name = "acme-mainnet"')).key == "span[1].name"


def test_near_hex_warns_with_its_line() -> None:
    loaded = parse_organism(changed('id = "acme.mainnet.offers"', f'id = "0x{HEX}"'))
    (warning,) = loaded.warnings
    assert warning.key == "span[0].surface[0].id"
    assert warning.line == line_of(loaded.text, HEX)


def test_jitter_as_long_as_the_heartbeat_warns() -> None:
    (warning,) = parse_organism(changed('heartbeat = "500ms"', 'heartbeat = "100ms"')).warnings
    assert warning.key == "group.heartbeat_jitter"


def spans(text: str, keep: int) -> str:
    """The example with so many spanned members."""
    blocks = [text.index("[[span]] "), text.index('[[span]]\nname = "beta'), text.index("[driver]")]
    return text[: blocks[keep]] + text[blocks[2] :]


def test_folds_and_spans() -> None:
    assert "two or more" in parse_organism(spans(TEXT, 1)).warnings[0].allowed
    assert only(spans(TEXT, 0)).key == "span"
    ticker = parse_organism(spans(changed('fold = "join"', 'fold = "ticker"'), 0))
    assert ticker.config.span == ()
    assert ticker.warnings == ()


def test_tdx() -> None:
    acl = TEXT.index("[[acl]]")
    tdx = f'''[[acl]]
type = "tdx"
mrtd = "{"ab" * 48}"
variants = [{{ rtmr1 = "{"cd" * 48}" }}]
max_age = "1h"
not_before = 2026-01-01T00:00:00Z
'''
    text = TEXT[:acl] + tdx + TEXT[TEXT.index("[group]") :]
    validator = parse_organism(text).config.acl[0]
    assert isinstance(validator, TdxValidator)
    assert validator.baseline.mrtd == b"\xab" * 48
    assert validator.variants[0].rtmr1 == b"\xcd" * 48
    assert (validator.max_age_s, validator.not_before_s) == (3600, 1767225600)
    assert only(text.replace("ab" * 48, "09" * 48)).key == "acl[0].mrtd"
    assert only(text.replace("cd" * 48, "02" * 48)).key == "acl[0].variants[0].rtmr1"
    assert only(text.replace("00Z", "00")).key == "acl[0].not_before"
    assert only(text.replace("2026-01-01T00:00:00Z", "0")).key == "acl[0].not_before"


def test_declared_identity() -> None:
    text = changed(
        'scheme = "organismctl/1"',
        f'scheme = "declared"\nfingerprint = "{HEX}"\nsurface_ids = {{ facts = "{HEX}" }}',
    )
    identity = parse_organism(text).config.identity
    assert identity.fingerprint == bytes.fromhex(HEX)
    assert identity.surface_ids == {"facts": bytes.fromhex(HEX)}
    assert only(text.replace("{ facts", "{ fact")).key == "identity.surface_ids.fact"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = \n", 1),
        ("a = 1\nb = = 2\n", 2),
        ("a = [1,\n", 2),
        ("a = 1\na = 2\n", 2),
        ("x = 9" + "9" * 5000, None),
    ],
)
def test_syntax_errors_carry_their_line(text: str, line: int | None) -> None:
    problem = only(text)
    assert problem.key == "(syntax)"
    assert problem.line == line


def test_deep_nesting_is_a_problem_not_a_crash() -> None:
    assert "too deeply" in str(only("a = " + "[" * 50_000))


def test_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "organism.toml"
    path.write_bytes(b"schema = 1\nname = '\xff'\n")
    with pytest.raises(InputError, match=r"organism\.toml:2: not UTF-8"):
        load_organism(path)


VALUES = st.recursive(
    st.integers() | st.booleans() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4))
def test_content_that_is_accepted_has_a_canonical_form(content: dict[str, object]) -> None:
    import tomlkit

    start, end = TEXT.index("[content]"), TEXT.index("[[surface]]                            #")
    text = TEXT[:start] + tomlkit.dumps({"content": content}) + "\n" + TEXT[end:]
    try:
        loaded = parse_organism(text)
    except InputError as exc:
        assert all(problem.key.startswith("content") or problem.key == "(syntax)" for problem in exc.problems)
        return
    assert loaded.config.content == tomllib.loads(text)["content"]
    assert canonical_parameters(loaded.config)


LINES = st.lists(st.sampled_from([*TEXT.splitlines(), "[", "x = 1", "[[span]]", "=", '"""']), max_size=40)


@settings(max_examples=150, deadline=None)
@given(LINES)
def test_shuffled_lines_give_problems_never_a_crash(lines: list[str]) -> None:
    text = "\n".join(lines)
    try:
        assert isinstance(parse_organism(text), LoadedOrganism)
    except OrganismError as exc:
        assert isinstance(exc, InputError)
        assert all(one.line is None or 1 <= one.line <= max(len(lines), 1) for one in exc.problems)


JUNK = st.recursive(
    st.none() | st.integers() | st.booleans() | st.floats() | st.text(max_size=4) | st.dates(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_value_anywhere_gives_problems_never_a_crash(data: st.DataObject) -> None:
    from organismctl.files.organism_shape import ORGANISM
    from organismctl.files.schema import Reader

    document = tomllib.loads(TEXT)
    place: object = document
    while True:
        assert isinstance(place, (dict, list))
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        inner = place[key]
        if not isinstance(inner, (dict, list)) or not inner or data.draw(st.booleans()):
            place[key] = data.draw(JUNK)
            break
        place = inner
    reader = Reader("organism.toml", TEXT)
    ORGANISM.read(document, "", reader)
    assert all(str(problem) for problem in reader.problems)
