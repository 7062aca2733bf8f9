"""Inputs and outputs in .gz and .zst: complete for other programs, and mended after a kill."""

from __future__ import annotations

import gzip
import importlib
import json
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasker.cli import compression
from tasker.cli.compression import codec_of
from tasker.cli.exit_codes import UsageError
from tasker.cli.run.compressed_output import MEMBER_SIZE, CompressedLineFile
from tasker.cli.run.output import OutputError, open_lines

from .conftest import Workshop, finish, wait_for
from .jobfiles import SQUARE

MODULES = ("compression.zstd", "backports.zstd", "zstandard")


def installed(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True


SUFFIXES = [".gz", pytest.param(".zst", marks=pytest.mark.skipif(not any(map(installed, MODULES)), reason="no zstd"))]


def content(path: Path) -> bytes:
    codec = codec_of(str(path))
    assert codec is not None
    with codec.open(str(path)) as stream:
        return stream.read()


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content(path).splitlines()]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_from_file_to_file(shop: Workshop, suffix: str) -> None:
    """Results, failed inputs, --resume with lines to be removed, and the outputs as inputs."""
    shop.write("jobs.py", "def task(ctx, r, item):\n    return 1 / item['n']\n")
    codec = codec_of(suffix)
    assert codec is not None
    halves = [b"".join(b'{"n": %d}\n' % n for n in numbers) for numbers in (range(3), range(3, 400))]
    (shop.folder / f"in.jsonl{suffix}").write_bytes(b"".join(map(codec.compress, halves)))
    command = ("run", "jobs.py", f"in.jsonl{suffix}", "--output", f"out.jsonl{suffix}")
    done = shop.run(*command, "--failed", f"failed.jsonl{suffix}")
    assert done.returncode == 1, done.stderr
    assert sorted(record["index"] for record in records(shop.folder / f"out.jsonl{suffix}")) == [*range(400)]
    assert content(shop.folder / f"failed.jsonl{suffix}") == b'{"n": 0}\n'
    assert shop.run(*command).returncode == 2  # it holds something already
    shop.write("jobs.py", "def task(ctx, r, item):\n    return 0\n")
    done = shop.run(*command, "--resume")
    assert done.returncode == 0, done.stderr
    found = records(shop.folder / f"out.jsonl{suffix}")
    assert len(found) == 400
    assert {record["index"]: record["result"] for record in found} == {0: 0, **{n: 1 / n for n in range(1, 400)}}
    dry = shop.run(*command, "--resume", "--dry-run")
    assert (dry.returncode, dry.stdout) == (0, "")
    again = shop.run("run", "jobs.py", f"out.jsonl{suffix}", "--dry-run")
    assert len(again.stdout.splitlines()) == 400


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("seed", range(2))
def test_sigkill_at_random_points(shop: Workshop, suffix: str, seed: int) -> None:
    """What is there can be read after each kill, and nothing is lost or done twice in the end."""
    chance = random.Random(seed)
    shop.write("jobs.py", "import time\ndef task(ctx, r, item):\n    time.sleep(0.002)\n    return int(item) ** 2\n")
    shop.numbers(600)
    path = shop.folder / f"out.jsonl{suffix}"
    command = ("run", "jobs.py", "in.txt", "--output", path.name, "--resume", "--quiet")
    for _ in range(3):
        process = shop.start(*command)
        size = path.stat().st_size if path.exists() else 0
        enough = size + chance.randrange(1, 2000)
        wait_for(lambda: (path.exists() and path.stat().st_size >= enough) or process.poll() is not None, "more")  # noqa: B023
        process.send_signal(signal.SIGKILL)
        finish(process)
        cut = chance.randrange(0, 40)  # as if the last member had been written in part
        os.truncate(path, max(0, path.stat().st_size - cut))
    done = shop.run(*command)
    assert done.returncode == 0, done.stderr
    found = records(path)
    assert sorted(record["index"] for record in found) == [*range(600)]
    assert all(record["result"] == record["index"] ** 2 for record in found)


@pytest.fixture(params=SUFFIXES)
def output(tmp_path: Path, request: pytest.FixtureRequest) -> CompressedLineFile:
    file = open_lines(str(tmp_path / f"out{request.param}"))
    assert isinstance(file, CompressedLineFile)
    return file


def test_lines_are_written_when_they_are_many_or_by_flush(output: CompressedLineFile) -> None:
    output.write(b"a\n")
    assert output.size == 0
    output.flush()
    first = output.size
    assert first > 0
    output.flush()
    assert output.size == first
    output.write(b"x" * MEMBER_SIZE + b"\n")
    assert output.size > first
    output.write(b"b\n")
    output.close()
    assert content(Path(output.path)) == b"a\n" + b"x" * MEMBER_SIZE + b"\nb\n"


@pytest.mark.parametrize("cut", [1, 5, 9, 15])
def test_a_member_that_was_cut_off_is_mended(output: CompressedLineFile, cut: int) -> None:
    """Whatever of its lines is left is kept, and the file ends with a whole member."""
    path = Path(output.path)
    output.write(b"one\ntwo\n")
    output.flush()
    whole = output.size
    output.write(b"".join(b"%d\n" % (n * 7919) for n in range(2000)))
    output.close()
    os.truncate(path, path.stat().st_size - cut)
    again = open_lines(str(path))
    left = list(again.lines())
    assert left[:2] == [b"one\n", b"two\n"]
    assert list(again.lines(mend=True)) == left
    again.write(b"new\n")
    again.close()
    assert content(path) == b"".join(left) + b"new\n"
    os.truncate(path, whole + 1)
    again = open_lines(str(path))
    assert list(again.lines(mend=True)) == [b"one\n", b"two\n"]
    assert again.size == whole
    again.close()


def test_a_last_line_that_is_incomplete_is_cut_off(output: CompressedLineFile) -> None:
    codec = output.codec
    output.close()
    path = Path(output.path)
    path.write_bytes(codec.compress(b"one\n") + codec.compress(b"two\nthr"))
    again = open_lines(str(path))
    assert list(again.lines(mend=True)) == [b"one\n", b"two\n"]
    again.close()
    assert content(path) == b"one\ntwo\n"


def test_a_damaged_file_is_refused_and_left_as_it_is(output: CompressedLineFile) -> None:
    output.write(b"one\n")
    output.close()
    path = Path(output.path)
    damaged = path.read_bytes() + b"no member of anything"
    path.write_bytes(damaged)
    again = open_lines(str(path))
    with pytest.raises(UsageError, match="is damaged behind byte"):
        list(again.lines(mend=True))
    again.close()
    assert path.read_bytes() == damaged


def test_a_member_that_cannot_be_written_leaves_no_part(
    output: CompressedLineFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    output.write(b"one\n")
    output.flush()
    size, write = output.size, os.write
    parts: list[int] = []

    def fails(fd: int, data: memoryview) -> int:
        if parts:
            raise OSError(28, "No space left on device")
        parts.append(write(fd, data[:7]))
        return parts[0]

    output.write(b"two\n")
    monkeypatch.setattr("os.write", fails)
    with pytest.raises(OutputError) as caught:
        output.flush()
    monkeypatch.undo()
    assert caught.value.written == 0
    assert Path(output.path).stat().st_size == size
    output.close()


def test_gzip_output_is_plain_gzip(shop: Workshop) -> None:
    shop.write("jobs.py", SQUARE)
    shop.numbers(50)
    assert shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl.gz").returncode == 0
    assert len(gzip.decompress((shop.folder / "out.jsonl.gz").read_bytes()).splitlines()) == 50


@pytest.fixture
def hide_others(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def only(*names: str) -> None:
        for name in MODULES:
            if name not in names:
                monkeypatch.setitem(sys.modules, name, None)

    return only


@pytest.mark.parametrize("name", MODULES)
def test_each_package_for_zstd(name: str, hide_others: Callable[..., None], tmp_path: Path) -> None:
    pytest.importorskip(name)
    hide_others(name)
    path = tmp_path / "x.ZST"
    codec = codec_of(str(path))
    assert codec is not None
    path.write_bytes(codec.compress(b"one\n") + codec.compress(b"two\n"))
    assert content(path) == b"one\ntwo\n"
    one = codec.decompressor()
    assert one.decompress(path.read_bytes()) == b"one\n"
    assert one.eof
    assert one.unused_data == codec.compress(b"two\n")
    with pytest.raises(codec.error):
        codec.decompressor().decompress(b"neither this nor that")


def test_without_a_package_for_zstd(hide_others: Callable[..., None]) -> None:
    hide_others()
    with pytest.raises(UsageError, match=r"out.zst: to read or write .zst, install tasker-pool\[zstd\]"):
        codec_of("out.zst")


def test_suffixes() -> None:
    assert compression.without_suffix("in.csv.gz") == "in.csv"
    assert compression.without_suffix("in.jsonl.ZST") == "in.jsonl"
    assert compression.without_suffix("in.txt") == "in.txt"
    assert codec_of("in.txt") is None
