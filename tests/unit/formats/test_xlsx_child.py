"""The process that reads workbooks: what it may use, and what comes of it when it dies."""

import signal
import subprocess
import sys
import tempfile

import psutil
import pytest

from formats.records import Unreadable
from formats.xlsx import reader
from tests import workbooks

LIMITED = "from formats.xlsx import child; child.limit(seconds=1); "


def limited(work: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([sys.executable, "-I", "-c", LIMITED + work], capture_output=True, check=False, timeout=60)


def test_memory_time_and_files_are_limited(tmp_path):
    assert b"MemoryError" in limited("bytearray(300 * 1024**2)").stderr
    assert limited("bytearray(100 * 1024**2)").returncode == 0
    assert limited("exec('while True: pass')").returncode == -signal.SIGXCPU
    limited(f"open({str(tmp_path / 'x')!r}, 'w').write('x')")
    assert (tmp_path / "x").stat().st_size == 0


async def read(rows: int) -> list:
    with tempfile.TemporaryFile() as file:
        file.write(workbooks.table([["+14155552671", "x" * 100]] * rows))
        file.flush()
        return [some async for some, _ in reader.rows(file, sheet="Contacts", width=2)]


@pytest.mark.parametrize(
    ("script", "raised", "said"),
    [
        ("kill -KILL $$", Unreadable, "memory"),
        ("kill -XCPU $$", Unreadable, "too long"),
        ("printf R; kill -SEGV $$", Unreadable, "memory"),
        ("exit 3", reader.Misbehaved, "ended with 3"),
        ("printf 'R\\377\\377\\377\\377'", reader.Misbehaved, "frame"),
        ("env | grep -q HOME && kill -KILL $$", reader.Misbehaved, "ended with"),
    ],
)
async def test_a_child_that_dies_is_told_of(tmp_path, monkeypatch, script, raised, said):
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(raised, match=said):
        await read(1)


async def test_nobody_reads_on_after_the_reader_has_left():
    with tempfile.TemporaryFile() as file:
        file.write(workbooks.table([["+14155552671", "x" * 100]] * 20_000))
        file.flush()
        rows = reader.rows(file, sheet="Contacts", width=2)
        await anext(rows)
        assert children()
        await rows.aclose()
    assert not children()


def children() -> list[psutil.Process]:
    return [one for one in psutil.Process().children() if "formats.xlsx.child" in one.cmdline()]
