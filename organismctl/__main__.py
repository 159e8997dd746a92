"""Entry point: answers ``--version`` before anything heavy loads, then hands over to the command line."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from organismctl import __version__

        try:
            sys.stdout.write(f"organismctl {__version__}\n")
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader left; without this the interpreter would complain at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    from organismctl.cli.app import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
