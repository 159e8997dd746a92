"""Source: a spanned member's published card, a file or a URL. Gives ``span.card``."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from organismctl.errors import OrganismError, UnreachableError
from organismctl.observe.look import Want, now_ms
from organismctl.observe.snapshot import MALFORMED, NOT_ASKED, UNREACHABLE, Fact

if TYPE_CHECKING:
    import ssl

    from organismctl.identity.config import Json

KIND = "span.card"
MAX_CARD = 1 << 20


@dataclass(frozen=True, slots=True)
class Card:
    """One card.

    Attributes:
        span: The spanned member.
        where: The URL, or the file's absolute path; ``None`` when none is named.
        timeout_s: Seconds for the whole answer.
    """

    span: str
    where: str | None
    timeout_s: float = 3.0

    def wants(self) -> Sequence[Want]:
        """See :meth:`Source.wants`."""
        return (Want(KIND, self.span, self._source),)

    def look(self) -> Iterator[Fact]:
        """See :meth:`Source.look`."""
        if self.where is None:
            yield Fact.unseen(KIND, self.span, self._source, "deployment.toml names no card", NOT_ASKED)
            return
        first = self._once(self.where, self._source)
        yield first
        if not first.seen or not is_url(self.where):
            return
        again = self._once(self.where, f"{self._source}, asked again")
        if again.value != first.value:  # it flaps; an equal answer says nothing new
            yield again

    def _once(self, where: str, source: str) -> Fact:
        begun = time.monotonic()
        try:
            value = parse_card(fetch(where, self.timeout_s) if is_url(where) else _read(where))
        except ValueError as exc:
            return Fact.unseen(KIND, self.span, source, f"{where}: {exc}", MALFORMED)
        except OrganismError as exc:
            return Fact.unseen(KIND, self.span, source, exc.message, UNREACHABLE)
        took = round((time.monotonic() - begun) * 1000)
        return Fact(KIND, self.span, value, source, seen_ms=now_ms(), took_ms=took)

    @property
    def _source(self) -> str:
        return f"card {self.where}" if self.where else "card"


def is_url(where: str) -> bool:
    """Whether a card's place is a URL rather than a path."""
    return where.startswith(("http://", "https://"))


def parse_card(raw: bytes) -> dict[str, Json]:
    """The JSON object of a card; what it says is judged by the check.

    Raises:
        ValueError: It is none.
    """
    from organismctl.committee.strict import read_json

    return dict(read_json(raw))


def _read(path: str) -> bytes:
    from organismctl.files.atomic import read_bounded

    return read_bounded(Path(path), MAX_CARD)


def _tls(url: str) -> ssl.SSLContext:
    """The authorities that https is held against, read once for all; plain HTTP needs none of them."""
    import ssl

    return _authorities() if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@cache
def _authorities() -> ssl.SSLContext:
    from httpx2 import create_ssl_context

    return create_ssl_context(trust_env=False)


def fetch(url: str, timeout_s: float, limit: int = MAX_CARD) -> bytes:
    """GET a public document, bounded in size and time; redirects are not followed, proxies not used.

    Raises:
        UnreachableError: No answer, no 200, or too much of it.
    """
    import httpx2

    end = time.monotonic() + timeout_s
    data = bytearray()
    try:
        with (
            httpx2.Client(trust_env=False, timeout=timeout_s, verify=_tls(url)) as client,
            client.stream("GET", url, headers={"accept-encoding": "identity"}) as response,
        ):
            if response.status_code != 200:
                raise UnreachableError(f"{url} answers {response.status_code}")
            for chunk in response.iter_raw():
                data += chunk
                if len(data) > limit:
                    raise UnreachableError(f"{url} sends more than {limit} bytes")
                if time.monotonic() > end:
                    raise UnreachableError(f"{url} did not finish in {timeout_s:g} s")
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as exc:
        why = (
            "no answer in time"
            if isinstance(exc, httpx2.TimeoutException)
            else str(exc) or type(exc).__name__
        )
        raise UnreachableError(f"{url} cannot be reached: {why}") from exc
    return bytes(data)
