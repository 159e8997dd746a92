"""Entry point: answers ``--version`` before anything heavy loads, then hands over to the command line."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from organismctl import __version__

        sys.stdout.write(f"organismctl {__version__}\n")
        sys.exit(0)
    from organismctl.cli.app import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
