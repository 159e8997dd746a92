"""The journal: torn tails, edits anywhere, a full disk, a read-only folder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from organismctl.change.errors import JournalError, TamperedError
from organismctl.change.journal import Journal, parse_line, read_journal

PLAN = "ab" * 32


class Ticking:
    def __init__(self) -> None:
        self.now = 1_790_000_000_000

    def __call__(self) -> int:
        self.now += 7
        return self.now


def written(folder: Path, count: int = 5) -> Path:
    path = folder / "journal.jsonl"
    journal = Journal.open(path, PLAN, Ticking())
    for number in range(count):
        journal.append("note", "step", text=f"line {number} ü", number=number)
    return path


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return written(tmp_path_factory.mktemp("journal")).read_bytes()


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_an_edit_of_any_byte_is_named_by_its_line(
    sample: bytes, tmp_path_factory, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(sample) - 1))
    new = data.draw(st.integers(0, 255).filter(lambda value: value != sample[place]))
    path = tmp_path_factory.getbasetemp() / "edited.jsonl"
    path.write_bytes(sample[:place] + bytes([new]) + sample[place + 1 :])
    with pytest.raises(TamperedError) as caught:
        read_journal(path, PLAN)
    assert caught.value.line == sample[:place].count(b"\n") + 1
    assert f"line {caught.value.line} was edited" in caught.value.message


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_line_removed_inserted_or_moved_is_named(
    sample: bytes, tmp_path_factory, data: st.DataObject
) -> None:
    lines = sample.splitlines(keepends=True)
    first = data.draw(st.integers(0, len(lines) - 2))
    kind = data.draw(st.sampled_from(["remove", "double", "swap"]))
    edited = list(lines)
    if kind == "remove":
        del edited[first]
    elif kind == "double":
        edited.insert(first, edited[first])
    else:
        edited[first], edited[first + 1] = edited[first + 1], edited[first]
    path = tmp_path_factory.getbasetemp() / "moved.jsonl"
    path.write_bytes(b"".join(edited))
    with pytest.raises(TamperedError) as caught:
        read_journal(path, PLAN)
    assert caught.value.line == first + (2 if kind == "double" else 1)


@given(cut=st.integers(1, 400))
@settings(max_examples=60, deadline=None)
def test_a_torn_last_line_is_ignored_removed_and_noted(sample: bytes, tmp_path_factory, cut: int) -> None:
    path = tmp_path_factory.getbasetemp() / "torn.jsonl"
    last = sample[:-1].rfind(b"\n") + 1
    path.write_bytes(sample[: max(last + 1, len(sample) - cut)])
    reading = read_journal(path, PLAN)
    assert len(reading.lines) == 4
    assert reading.torn
    journal = Journal.open(path, PLAN, Ticking())
    assert journal.lines[-1].kind == "repaired"
    assert journal.lines[-1].data["bytes"] == len(reading.torn)
    journal.append("note", text="on it goes")
    assert [line.seq for line in read_journal(path, PLAN).lines] == [0, 1, 2, 3, 4, 5]


@given(
    raw=st.one_of(
        st.binary(max_size=300), st.text(max_size=300).map(lambda text: text.encode("utf-8", "ignore"))
    )
)
@settings(max_examples=300, deadline=None)
def test_no_bytes_bring_anything_but_a_clear_error(raw: bytes) -> None:
    with pytest.raises(TamperedError):
        parse_line(raw, 0, PLAN, "journal")


@pytest.mark.parametrize(
    "raw", [b"[" * 100_000, b'{"seq":1e400}', b'{"seq":true}', b'{"a":"\\ud800"}', b"{}", b"\xff", b"null"]
)
def test_hostile_lines_are_refused(raw: bytes) -> None:
    with pytest.raises(TamperedError, match="line 1"):
        parse_line(raw, 0, PLAN, "journal")


def test_another_plan_is_named(tmp_path: Path) -> None:
    path = written(tmp_path)
    with pytest.raises(TamperedError, match="line 1 was edited: it does not follow"):
        read_journal(path, "cd" * 32)


def as_nobody(folder: Path) -> int:
    """The exit code of an append by a user who may not write there (root may write everywhere)."""
    code = (
        "import os, sys\n"
        "from organismctl.change.errors import JournalError\n"
        "from organismctl.change.journal import Journal\n"
        "from organismctl.change.canonical import canonical\n"
        "from pathlib import Path\n"
        "canonical({'a': 1})  # all modules are loaded before the right to read them is given up\n"
        "if os.geteuid() == 0: os.setegid(65534); os.seteuid(65534)\n"
        f"journal = Journal.open(Path({str(folder)!r}) / 'journal.jsonl', {PLAN!r}, lambda: 1)\n"
        "try: journal.append('note', text='x')\n"
        "except JournalError as exc: print(exc.message, '|', exc.advice); sys.exit(7)\n"
    )
    done = subprocess.run(
        [os.sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert "nothing further is done" in done.stdout, done
    assert "Permission denied" in done.stdout
    return done.returncode


def test_a_read_only_folder_is_a_clear_error(tmp_path_factory: pytest.TempPathFactory) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        assert as_nobody(folder) == 7
        folder.chmod(0o755)


def test_a_full_disk_is_a_clear_error_and_loses_nothing(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("a small tmpfs can only be mounted by root; run this test as root to see the full disk")
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], check=True)
    try:
        journal = Journal.open(place / "journal.jsonl", PLAN, Ticking())
        with pytest.raises(JournalError, match="No space left on device") as caught:
            for number in range(1000):
                journal.append("note", text="x" * 700, number=number)
        assert caught.value.advice is not None
        kept = read_journal(place / "journal.jsonl", PLAN)
        assert kept.torn == b"", "the line that did not fit was taken away again"
        assert [line.text for line in kept.lines] == [line.text for line in journal.lines]
        (place / "filler").unlink(missing_ok=True)
        subprocess.run(["mount", "-o", "remount,size=256k", str(place)], check=True)
        again = Journal.open(place / "journal.jsonl", PLAN, Ticking())
        again.append("note", text="room again")
        assert len(read_journal(place / "journal.jsonl", PLAN).lines) == len(kept.lines) + 1
    finally:
        subprocess.run(["umount", str(place)], check=True)
