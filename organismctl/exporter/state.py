"""What the exporter knows between sweeps: memory, since when things are as they are, and its file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from organismctl.errors import OrganismError
from organismctl.exporter.memory import Remembered, forget_nodes, remember
from organismctl.exporter.memory_file import Key, MemoryDamagedError, MemoryFile
from organismctl.exporter.samples import drifts, lives
from organismctl.exporter.sweep import readings_of

if TYPE_CHECKING:
    from organismctl.exporter.sweep import Look

UP, DRIFT, NODE = "up", "drift", "node"


class State:
    """See the module. Changed by the sweeping thread alone; others read what :meth:`take` returned.

    Args:
        file: The memory's file.
        say: Told what an operator should know, once.

    Attributes:
        surfaces: (spanned member, surface) to what is remembered.
        since: (kind, subject) to (state, since when).
        sweeps: Sweeps of this process.
        kept: Whether the last write reached the disk.
    """

    def __init__(self, file: MemoryFile, say: Callable[[str], None]) -> None:
        self._file = file
        self._say = say
        self.surfaces: dict[Key, Remembered] = dict(file.surfaces)
        self.since: dict[Key, tuple[int, int]] = dict(file.since)
        self.sweeps = 0
        self.kept = True
        self.begun_ms = file.begun_ms
        if file.moved is not None:
            say(f"the memory was moved aside to {file.moved}; it begins anew")

    def take(self, look: Look, *, files_ok: bool = True) -> Mapping[str, bool]:
        """Take a look in: what is remembered, since when; and write it.

        Args:
            look: The sweep's look.
            files_ok: Whether the files could be read as they stand now.

        Returns:
            Every source, the exporter's own included, to whether it is up.
        """
        self.sweeps += 1
        deployment = look.scope.deployment
        names = [node.name for node in deployment.nodes] if deployment is not None else []
        self.surfaces = {
            key: forget_nodes(remember(self.surfaces.get(key), told, own, clock, look.at_ms), names)
            for key, told, own, clock in readings_of(look)
        }
        sources = {"exporter": True, "files": files_ok, "memory": self.kept, **look.sources}
        self._since(look, sources)
        self._write(look.at_ms)
        return {**sources, "memory": self.kept}

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _since(self, look: Look, sources: Mapping[str, bool]) -> None:
        """Since when each source is up or down, each spanned member drifted or not, each node up or down."""
        spans = {member.name for member in look.scope.organism.config.span}
        nodes = {node.name for node in look.scope.deployment.nodes} if look.scope.deployment else set()
        told: dict[Key, bool] = {(UP, name): up for name, up in sources.items()}
        told |= {(DRIFT, f"{span}/{what}"): drifted for (span, what), drifted in drifts(look).items()}
        told |= {(NODE, name): up for name, up in lives(look).items()}
        kept = {
            key: value
            for key, value in self.since.items()
            if (key[0] == DRIFT and key[1].rpartition("/")[0] in spans)
            or (key[0] == NODE and key[1] in nodes)
        }
        for key, state in told.items():
            past = self.since.get(key)
            kept[key] = past if past is not None and past[0] == int(state) else (int(state), look.at_ms)
        self.since = kept

    def _write(self, at_ms: int) -> None:
        try:
            try:
                self._file.write(self.surfaces, self.since)
            except MemoryDamagedError as exc:
                # Damaged under our hands: everything is here still, so the new file holds all of it.
                self._file.restart(exc.message, at_ms)
                self._say(
                    f"the memory was moved aside to {self._file.moved}; what is remembered is written anew"
                )
                self._file.write(self.surfaces, self.since)
        except OrganismError as exc:
            if self.kept:
                self._say(f"the memory is not kept on disk: {exc.message}")
            self.kept = False
        else:
            if not self.kept:
                self._say("the memory is kept on disk again")
            self.kept = True
