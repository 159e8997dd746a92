"""What the wire costs a process that does not look, and how one ends that does."""

import subprocess
import sys
import textwrap

from tests.identity.entries import NETWORK, signed
from tests.observe.wire.peers import STREAMS, SYNC, flood, running, telling

HEAVY = ("iroh", "asyncio", "cryptography", "ssl", "concurrent.futures")


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_wire_loads_nothing_heavy_before_a_look():
    done = run(f"import sys, organismctl.observe.wire; print(*[m for m in {HEAVY!r} if m in sys.modules])")
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_a_process_ends_cleanly_amid_a_look():
    done = run(
        """
        import socket
        from organismctl.identity.peer import peer_id_from_seed
        from organismctl.identity.peer_entry import EntryPoint
        from organismctl.observe.look import observe
        from organismctl.observe.wire import Observer, StreamSource, WireSource
        deaf = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        deaf.bind(("127.0.0.1", 0))
        point = EntryPoint(peer_id_from_seed(bytes(32)), *deaf.getsockname())
        sources = [
            WireSource([point], bytes(32), timeout_s=30),
            StreamSource(point, bytes(32), bytes(32), Observer(bytes(32)), timeout_s=30),
        ]
        snapshot = observe(sources, deadline_s=0.5)
        print(*[fact.kind for fact in snapshot.facts if not fact.seen])
        """
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["wire.catalog", "wire.peer", "wire.stream"]


def test_a_process_ends_cleanly_amid_a_subscription_that_floods():
    with running("p", {SYNC: telling(signed("p")), STREAMS: flood}) as p:
        done = run(
            f"""
            from organismctl.identity.peer_entry import EntryPoint
            from organismctl.observe.look import observe
            from organismctl.observe.wire import Observer, StreamSource
            point, network = EntryPoint.parse("{p.point}"), bytes.fromhex("{NETWORK.hex()}")
            sources = [
                StreamSource(point, network, bytes(32), observer, listen_s=60)
                for observer in (Observer(), Observer(bytes(32)))
            ]
            print(len([fact for fact in observe(sources, deadline_s=2).facts if not fact.seen]))
            """
        )
    assert (done.returncode, done.stdout, done.stderr) == (0, "2\n", "")
