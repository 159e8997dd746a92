"""The store: durable, exclusive, and it notices what was done to its file."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from organismctl.committee.ledger.effects import Origin, Write
from organismctl.committee.ledger.entry import NO_EPOCH, Epoch, application, link
from organismctl.committee.ledger.place import filesystem, refuse_network
from organismctl.committee.ledger.roster import Action, GenesisRecord, RosterChange
from organismctl.committee.ledger.sqlite_errors import LedgerDamagedError, LedgerDiskError
from organismctl.committee.ledger.store import FILE, Store, create_founder, create_learner, open_store
from organismctl.errors import OrganismError, RefusedError

A, B = b"a" * 32, b"b" * 32
GENESIS = GenesisRecord(b"f" * 32, (A, B))
EPOCH = Epoch(3, A)


def fill(store: Store, count: int, *, certified: int | None = None) -> None:
    state = store.load()
    last = state.entries[-1]
    for start in range(last.height + 1, last.height + 1 + count, 500):
        size = min(500, last.height + 1 + count - start)
        entries = link(
            last.digest, start, tuple(application(b"%d" % (start + n)) for n in range(size)), EPOCH
        )
        store.write(
            [Write(1, entries=tuple(entries), certified=entries[-1].height if certified is None else None)]
        )
        last = entries[-1]
    if certified is not None:
        store.write([Write(1, certified=certified)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_founder(tmp_path / "node", GENESIS)
    return tmp_path / "node"


def edit(folder: Path, sql: str, *values: object) -> None:
    with sqlite3.connect(folder / FILE) as db:
        db.execute(sql, values)
    db.close()


def test_what_is_written_is_there_after_a_restart(folder: Path) -> None:
    with open_store(folder) as store:
        state = store.load()
        assert state.origin is Origin.FOUNDER
        assert not state.introduced
        first = state.entries[0]
        change = RosterChange(Action.ADD, b"c" * 32, 9).command()
        entries = tuple(link(first.digest, 1, (application(b"x"), change, application(b"y")), EPOCH))
        store.write([Write(1, promised=EPOCH, accepted=EPOCH, entries=entries), Write(2, certified=2)])
        store.write([Write(3, truncate=2, introduced=True, incarnations=((B, 5),))])
        store.write([Write(4, incarnations=((B, 6),))])
    with open_store(folder) as store:
        again = store.load()
        assert again.incarnation == state.incarnation > 0
        assert (again.promised, again.accepted, again.certified) == (EPOCH, EPOCH, 2)
        assert again.introduced
        assert again.entries == entries[1:2]
        assert list(again.roster.members) == [A, B, b"c" * 32]
        assert again.incarnations == {B: 5}
        assert [entry.height for entry in store.read(0)] == [0, 1, 2]
        assert [entry.height for entry in store.read(1, 1)] == [1]
        assert store.verify() == 3


def test_a_learner_starts_empty(tmp_path: Path) -> None:
    create_learner(tmp_path)
    with open_store(tmp_path) as store:
        state = store.load()
        assert (state.origin, state.certified, state.entries, state.promised) == (
            Origin.LEARNER,
            -1,
            (),
            NO_EPOCH,
        )
        assert state.introduced
        assert list(store.read(0)) == []


def test_a_failed_write_leaves_nothing_of_itself(folder: Path) -> None:
    with open_store(folder) as store:
        first = store.load().entries[0]
        (entry,) = link(first.digest, 1, (application(b"x"),), EPOCH)
        with pytest.raises(LedgerDiskError):
            store.write([Write(1, entries=(entry,)), Write(2, entries=(entry,))])
        assert store.digest(1) is None


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        ("UPDATE entries SET command = ? WHERE height = 7", (application(b"forged"),)),
        ("UPDATE entries SET digest = ? WHERE height = 7", (b"!" * 32,)),
        ("UPDATE entries SET command = 'text' WHERE height = 7", ()),
        ("DELETE FROM entries WHERE height = 7", ()),
    ],
)
def test_an_edited_entry_is_named(folder: Path, sql: str, values: tuple[object, ...]) -> None:
    with open_store(folder) as store:
        fill(store, 20)
    edit(folder, sql, *values)
    with open_store(folder) as store, pytest.raises(LedgerDamagedError, match="height 7") as caught:
        store.load()
    assert "new peer id" in (caught.value.advice or "")


def test_an_edit_below_the_checkpoint_is_found_when_it_is_read(folder: Path) -> None:
    with open_store(folder) as store:
        fill(store, 20)
        store.load()
        fill(store, 5)
    edit(folder, "UPDATE entries SET command = ? WHERE height = 7", application(b"forged"))
    with open_store(folder) as store:
        assert store.load().certified == 25
        with pytest.raises(LedgerDamagedError, match="height 7"):
            list(store.read(0))


def test_an_edited_checkpoint_is_found(folder: Path) -> None:
    with open_store(folder) as store:
        fill(store, 20)
        store.load()
    edit(folder, "UPDATE entries SET digest = ? WHERE height = 20", b"!" * 32)
    with open_store(folder) as store, pytest.raises(LedgerDamagedError, match="height 20"):
        store.load()


@pytest.mark.parametrize("key", ["certified", "promised", "origin", "incarnation"])
def test_a_damaged_meta_table_is_told(folder: Path, key: str) -> None:
    for value in (b"\xff?", b"99999999999"):
        copy = folder.parent / f"{key}-{value[0]}"
        shutil.copytree(folder, copy)
        edit(copy, "UPDATE meta SET value = ? WHERE key = ?", value, key)
        with open_store(copy) as store:
            if key == "incarnation" and value.isdigit():
                continue
            with pytest.raises(LedgerDamagedError):
                store.load()


def test_a_torn_file_is_told(folder: Path) -> None:
    with open_store(folder) as store:
        fill(store, 2000)
    path = folder / FILE
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(LedgerDamagedError), open_store(folder) as store:
        store.load()
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(LedgerDamagedError), open_store(folder) as store:
        store.load()


def test_another_schema_is_refused(folder: Path) -> None:
    edit(folder, "PRAGMA user_version = 9")
    with pytest.raises(LedgerDamagedError, match="schema is 9"):
        open_store(folder)


def test_no_ledger_is_made_by_opening_or_over_another(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(OrganismError, match="no ledger"):
        open_store(tmp_path / "absent")
    with pytest.raises(RefusedError, match="already"):
        create_founder(folder, GENESIS)
    with pytest.raises(RefusedError, match="already"):
        create_learner(folder)


def test_a_second_process_is_told_who_has_it(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from organismctl.committee.ledger.store import open_store\n"
        "store = open_store(Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(RefusedError, match=f"open in process {other.pid}"):
            open_store(folder)
        other.kill()
        other.communicate()
    with open_store(folder) as store:
        assert store.load().certified == 0


def test_reading_takes_constant_memory(folder: Path) -> None:
    with open_store(folder) as store:
        fill(store, 1000)
        peaks = []
        for count in (1000, 6000):
            tracemalloc.start()
            assert sum(1 for _ in store.read(0)) == count + 1
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            if count == 1000:
                fill(store, 5000)
        assert peaks[1] < 1.1 * peaks[0]


def test_a_full_disk_is_told_with_advice(folder: Path) -> None:
    with open_store(folder) as store:
        store.load()
        pages = store._writer.execute("PRAGMA page_count").fetchone()[0]
        store._writer.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(LedgerDiskError, match="disk is full") as caught:
            fill(store, 2000)
        assert "free space" in (caught.value.advice or "")
        assert store.load().certified >= 0


def test_a_read_only_disk_is_told(folder: Path) -> None:
    with open_store(folder) as store:
        store.load()
        store._writer.execute("PRAGMA query_only = ON")
        with pytest.raises(LedgerDiskError, match="read-only"):
            store.write([Write(1, certified=0)])


MOUNTS = """\
22 1 8:1 / / rw - ext4 /dev/sda1 rw
23 22 0:44 / /srv rw - nfs4 host:/srv rw
24 23 8:2 / /srv/local rw shared:1 - xfs /dev/sdb rw
25 22 0:45 / /mnt/a\\040b rw - fuse.sshfs x rw
malformed
"""


def test_the_filesystem_of_a_path_is_found(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    kinds = {
        path: filesystem(Path(path), mounts)
        for path in ("/var/x", "/srv/x", "/srv/local/x", "/mnt/a b/c", "/")
    }
    assert list(kinds.values()) == ["ext4", "nfs4", "xfs", "fuse.sshfs", "ext4"]
    for bad in ("/srv/x", "/mnt/a b/c"):
        with pytest.raises(RefusedError, match="network filesystem"):
            refuse_network(Path(bad), mounts)
    refuse_network(Path("/srv/local/x"), mounts)
    assert filesystem(Path("/"), tmp_path / "absent") is None
