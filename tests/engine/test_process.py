"""How the extension behaves within a process: locks, signals, forks, exits."""

from __future__ import annotations

import inspect
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import organismctl
from tests.engine.conftest import Nodes, until

ROOT = Path(organismctl.__file__).parents[1]
PRELUDE = """
import hashlib, sys
import organismctl_engine as engine
def h(text): return hashlib.sha256(text.encode()).digest()
relay = engine.Relay.start("127.0.0.1", 0)
def start(name, **more):
    return engine.Network.start(h("net"), h(name), relay=relay.url, bind=["127.0.0.1:0"], **more)
"""
QUIET = ("dropped without", "panicked", "Aborting ungracefully", "Traceback")


def run(script: str, *, expected: int = 0) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter, with everything that mosaik and iroh have to complain about on standard error."""
    ended = subprocess.run(
        [sys.executable, "-c", PRELUDE + script],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PATH": "/usr/bin:/bin", "ORGANISMCTL_ENGINE_LOG": "warn,iroh=info"},
        cwd=ROOT,
    )
    assert ended.returncode == expected, ended.stderr
    return ended


USE = """
one = start("one")
two = start("two", bootstrap=[(one.peer_id, one.addresses)])
groups = [node.group(h("secret"), h("machine")) for node in (one, two)]
producer, inbox = one.producer(h("stream")), two.inbox()
subscription = inbox.subscribe(h("stream"), 1)
map = two.map_reader(h("store"))
while not groups[0].status().bonds or producer.send(b"x") != "sent":
    inbox.recv(0.05)
print("used")
"""


def test_a_clean_close_leaves_nothing_to_complain_about(engine: Any) -> None:
    ended = run(USE + "two.close(); one.close(); relay.close(); print('closed')")
    assert ended.stdout.split() == ["used", "closed"]
    assert not [line for line in ended.stderr.splitlines() if any(word in line for word in QUIET)]


def test_whoever_forgets_to_close_still_leaves_in_order(engine: Any) -> None:
    ended = run(USE)
    assert ended.stdout.split() == ["used"]
    assert not [line for line in ended.stderr.splitlines() if any(word in line for word in QUIET)]


def test_what_is_dropped_is_closed_in_the_background(engine: Any) -> None:
    ended = run(USE + "del one, two, groups, producer, inbox, subscription, map\nprint('dropped')")
    assert ended.stdout.split() == ["used", "dropped"]
    assert not [line for line in ended.stderr.splitlines() if any(word in line for word in QUIET)]


def test_ctrl_c_ends_a_wait(engine: Any) -> None:
    script = PRELUDE + "inbox = start('one').inbox()\nprint('waiting', flush=True)\ninbox.recv(3600.0)"
    waiting = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "waiting\n"
        waiting.send_signal(signal.SIGINT)
        _, complaints = waiting.communicate(timeout=60)
    finally:
        waiting.kill()
        waiting.wait()
    assert complaints.rstrip().endswith("KeyboardInterrupt")


def test_a_wait_leaves_the_lock_to_others(nodes: Nodes) -> None:
    inbox = nodes.start("lock").inbox()
    waiting = threading.Thread(target=inbox.recv, args=(60.0,))
    waiting.start()
    ticks = 0
    while ticks < 1000:  # would not go on while the wait held the interpreter's lock
        ticks += 1
    assert waiting.is_alive()
    inbox.close()
    until(lambda: not waiting.is_alive(), "the end of the wait")


def test_a_fork_is_refused_with_the_reason(engine: Any) -> None:
    ended = run(
        """
import os, warnings
warnings.simplefilter("ignore")
child = os.fork()
if child == 0:
    try:
        engine.Relay.start("127.0.0.1", 0)
    except engine.EngineError as error:
        print(error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
relay.close()
"""
    )
    assert "fork" in ended.stdout


def test_the_stubs_name_what_the_extension_has(engine: Any) -> None:
    stubs: dict[str, Any] = {}
    text = (ROOT / "engine" / "organismctl_engine.pyi").read_text(encoding="utf-8")
    exec(compile(text, "stubs", "exec"), stubs)
    for name in (
        "Relay",
        "Validator",
        "Network",
        "Group",
        "GroupStatus",
        "Producer",
        "Inbox",
        "Subscription",
        "ItemMap",
    ):
        stubbed = {member for member in vars(stubs[name]) if not member.startswith("_")}
        real = {member for member in vars(getattr(engine, name)) if not member.startswith("_")}
        assert stubbed == real, name
        for member in stubbed:
            function = inspect.unwrap(getattr(stubs[name], member))
            if inspect.isfunction(function):
                ours = list(inspect.signature(function).parameters)
                theirs = list(inspect.signature(getattr(getattr(engine, name), member)).parameters)
                assert ours == theirs, f"{name}.{member}"
    assert engine.__version__
    assert issubclass(engine.EngineError, RuntimeError)
