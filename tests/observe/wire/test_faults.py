import re

import pytest

from organismctl.observe.snapshot import CAUSES, MALFORMED, OBSERVER, UNREACHABLE
from organismctl.observe.wire.faults import CLOSE_CODES, closed, of_connect, of_stream


@pytest.mark.parametrize("code", sorted(CLOSE_CODES))
def test_every_close_code_of_mosaik_says_whose_side_it_is(code):
    error = of_stream(
        f'ConnectionLost(ApplicationClosed(ApplicationClose {{ error_code: {code}, reason: b"" }}))', None
    )
    assert error.code == code
    assert error.cause in CAUSES
    assert error.message.endswith(f"(close code {code})")


def test_refusals_of_the_observer_are_the_observers():
    for code in (101, 401, 10403, 10413, 10509):
        assert closed(code).cause == OBSERVER
    for code in (204, 10404):
        assert closed(code).cause == UNREACHABLE
    assert closed(400).cause == MALFORMED


def test_a_code_that_mosaik_does_not_have_is_said_with_its_number():
    assert closed(4711).message == "it closed the connection (close code 4711)"


def test_what_the_peer_writes_beside_its_code_is_never_shown():
    error = of_stream("", "closed by peer: \x1b[31mowned (code 10403)")
    assert error.code == 10403
    assert re.fullmatch(r"[ -~]+", error.message)


@pytest.mark.parametrize(
    ("detail", "cause", "what"),
    [
        ("error 48: invalid peer certificate: UnknownIssuer", MALFORMED, "another peer answers at h:1"),
        ("peer doesn't support any known protocol", MALFORMED, "does not speak"),
        ("TimedOut", UNREACHABLE, "nobody answers at h:1"),
        ("something new", UNREACHABLE, "no connection to h:1"),
    ],
)
def test_why_no_connection_came_about(detail, cause, what):
    error = of_connect(detail, "h:1")
    assert error.cause == cause
    assert what in error.message
