"""Runs ip and nft, and says what is missing for them."""

from __future__ import annotations

import os
import shutil
import subprocess


class NetworkFault(RuntimeError):
    """A command about the network failed."""


def missing() -> str | None:
    """Why no network of namespaces can be made here; ``None``: it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for tool, package in (("ip", "iproute2"), ("nft", "nftables")):
        if shutil.which(tool) is None:
            return f"{tool} is not installed (Debian: {package})"
    return None


def run(*argv: str, given: str | None = None) -> str:
    """Run a command to its end; its standard output.

    Raises:
        NetworkFault: It failed, or took longer than 20 s.
    """
    try:
        done = subprocess.run(argv, input=given, capture_output=True, text=True, timeout=20, check=False)
    except subprocess.TimeoutExpired as exc:
        raise NetworkFault(f"{' '.join(argv)}: no end in 20 s") from exc
    if done.returncode != 0:
        raise NetworkFault(f"{' '.join(argv)}: {done.stderr.strip() or done.returncode}\n{given or ''}")
    return done.stdout


def quiet(*argv: str) -> None:
    """Run a command whose failure changes nothing: what it removes may be gone already."""
    subprocess.run(argv, capture_output=True, timeout=20, check=False)
