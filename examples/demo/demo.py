"""The main job of organismctl, end to end, on real processes of this host: `make demo`.

Two upstream organisms produce events; a composite organism of three nodes spans both; an integrator reads its
surface throughout. Then everything that an operator does is done to it.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.util
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from examples.demo.scenes import Story
from examples.demo.world import say, world


def main() -> int:
    """Run the demo; 0 when every scene went as it must."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--carrier", choices=("loopback", "mosaik"), default="loopback")
    carrier = parser.parse_args().carrier
    engine = importlib.util.find_spec("organismctl_engine") is not None
    if carrier == "mosaik" and not engine:
        raise SystemExit("the demo on mosaik needs the engine, and cargo to build it: `make engine`")
    began = time.monotonic()
    stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%d-%H%M%S")
    folder = Path.cwd() / f"demo-{stamp}"
    say(f"the demo of organismctl; its files are in {folder}")
    try:
        with world(folder) as made:
            story = Story(made, carrier)
            story.run()
            rows = story.rows
    except KeyboardInterrupt:
        say(f"\ninterrupted; every process of the demo is stopped; files: {folder}")
        return 130
    width = max(len(name) for name, _ in rows)
    say("\n== Summary ==")
    for name, value in rows:
        say(f"  {name:<{width}}  {value}")
    say(f"\nin {time.monotonic() - began:.0f} s; every process is stopped; files: {folder}")
    if not engine:
        say(
            "left out without the engine (it needs cargo): the same on real mosaik, `make demo CARRIER=mosaik`"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
