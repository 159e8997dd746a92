"""A real HTTP server on loopback that answers as it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Any]


class LoopbackServer(ThreadingHTTPServer):
    """Takes whole looks at once.

    A look opens more connections together than the five that a server lets wait by default; what is turned away is
    tried again after one and three seconds, which a question's own limit does not outlast.
    """

    request_queue_size = 128


@contextmanager
def serving(answer: Callable[[str, str | None], Answer]) -> Iterator[str]:
    """Serve; ``answer`` gets path with query, and the Authorization header; bytes are sent as they are."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, value = answer(self.path, self.headers.get("authorization"))
            body = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(code)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            """Quiet."""

    server = LoopbackServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def fault(code: int, name: str) -> Answer:
    """The node API's error form."""
    return code, {"error": {"code": name, "message": f"because of {name}", "advice": None}}
