"""Outputs that cannot be written: reported clearly, and what was written stays whole."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from .conftest import Workshop, finish, wait_for
from .jobfiles import GATED, SQUARE

ENDLESS = """
    def task(ctx, resource, item):
        return "x" * 1000
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_from_the_start(shop: Workshop) -> None:
    shop.write("jobs.py", SQUARE)
    shop.numbers(100_000)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "/dev/full")
    assert done.returncode == 1
    assert "error: cannot write to /dev/full: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_disk_that_becomes_full(shop: Workshop) -> None:
    """A line of which only a part went in is taken back; --resume goes on behind it."""
    shop.write("jobs.py", ENDLESS)
    shop.numbers(200)
    size = 50_001
    done = shop.run(
        "run", "jobs.py", "in.txt", "--output", "out.jsonl",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )  # fmt: skip
    assert done.returncode == 1
    assert "cannot write to out.jsonl: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    text = shop.read("out.jsonl")
    assert size - 2000 < len(text) <= size and text.endswith("\n")
    written = len(shop.results())
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--resume")
    assert done.returncode == 0, done.stderr
    assert f"{written} skipped" in done.stderr
    assert len(shop.results()) == 200


def test_a_failed_file_that_cannot_be_written(shop: Workshop) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    shop.write("jobs.py", "def task(ctx, r, item):\n    raise ValueError(item)\n")
    shop.numbers(3)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "o", "--failed", "/dev/full")
    assert done.returncode == 1
    assert "cannot write to /dev/full" in done.stderr
    assert shop.records("o")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_output_without_permission(shop: Workshop) -> None:
    shop.write("jobs.py", SQUARE)
    shop.write("out.jsonl", "").chmod(0o444)
    done = shop.run("run", "jobs.py", "--output", "out.jsonl")
    assert done.returncode == 2
    assert "Permission denied" in done.stderr


def test_a_reader_that_stops_reading(shop: Workshop) -> None:
    """`tasker run ... | head -3`: ends quietly, as a program that SIGPIPE ended."""
    shop.write("jobs.py", ENDLESS)
    shop.numbers(100_000)
    process = shop.start("run", "jobs.py", "in.txt", "--quiet", stdout=subprocess.PIPE)
    assert process.stdout is not None
    for _ in range(3):
        assert process.stdout.readline().startswith(b'{"index": ')
    process.stdout.close()
    assert process.wait(timeout=20) == 141
    assert process.stderr is not None
    assert process.stderr.read() == b""


def test_standard_error_that_is_not_read(shop: Workshop) -> None:
    """Progress and summary get lost; the work is done."""
    shop.write("jobs.py", SQUARE)
    shop.numbers(2000)
    reading, writing = os.pipe()
    os.close(reading)
    process = shop.start(
        "run", "jobs.py", "in.txt", "--output", "out.jsonl", "--progress-interval", 0.01,
        stderr=writing,
    )  # fmt: skip
    os.close(writing)
    assert process.wait(timeout=20) == 0
    assert len(shop.results()) == 2000


def test_two_runs_into_one_file(shop: Workshop) -> None:
    """The second is refused, whatever its options, and the first is not disturbed."""
    pytest.importorskip("fcntl")
    shop.write("jobs.py", GATED)
    shop.numbers(1)
    command = ("run", "jobs.py", "in.txt", "--output", "out.jsonl")
    process = shop.start(*command)
    wait_for(lambda: list(shop.folder.glob("started-*")), "the first run's item")
    for option in ("--resume", "--overwrite"):
        done = shop.run(*command, option)
        assert done.returncode == 2
        assert "another run is writing to it" in done.stderr
    (shop.folder / "go").touch()
    code, _ = finish(process)
    assert code == 0
    assert shop.results() == {0: 0}


def test_a_closed_standard_output(shop: Workshop) -> None:
    shop.write("jobs.py", SQUARE)
    shop.numbers(2)
    script = f'"{sys.executable}" -m tasker run jobs.py in.txt >&-'
    done = subprocess.run(
        ["bash", "-c", script], cwd=shop.folder, capture_output=True, text=True, check=False,
        timeout=20, env=shop.environment(),
    )  # fmt: skip
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def closed(shop: Workshop, redirection: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A run that is started without some of its standard descriptors."""
    script = f'exec "{sys.executable}" -m tasker run {" ".join(arguments)} {redirection}'
    return subprocess.run(
        ["bash", "-c", script], cwd=shop.folder, capture_output=True, text=True, check=False,
        timeout=20, env=shop.environment(),
    )  # fmt: skip


PRINTING = """
    import os, subprocess, sys

    def task(ctx, resource, item):
        print("printed")
        print("printed", file=sys.stderr)
        sys.stdout.write("written")
        sys.stderr.write("written")
        subprocess.run(["echo", "echoed"], stderr=subprocess.DEVNULL)
        os.close(os.open(".", os.O_RDONLY))
        return int(item)
"""


@pytest.mark.parametrize("redirection", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-", "<&- 2>&-", ">&-"])
@pytest.mark.parametrize("backend", ["thread", "process"])
def test_closed_descriptors_do_no_harm(shop: Workshop, redirection: str, backend: str) -> None:
    """The work is done, and nothing that the job prints gets into the results: no file takes the number of one."""
    shop.write("jobs.py", PRINTING)
    shop.numbers(5)
    done = closed(shop, redirection, "jobs.py", "in.txt", "--output", "out.jsonl", "--backend", backend)
    assert done.returncode == 0, done.stderr
    assert shop.results() == {n: n for n in range(5)}


def test_results_on_standard_output_while_standard_error_is_closed(shop: Workshop) -> None:
    shop.write("jobs.py", PRINTING)
    shop.numbers(5)
    done = closed(shop, "2>&-", "jobs.py", "in.txt")
    assert done.returncode == 0
    assert sorted(json.loads(line)["result"] for line in done.stdout.splitlines()) == list(range(5))


@pytest.mark.parametrize("options", [(), ("--backend", "process"), ("--dry-run",)])
def test_what_a_job_prints_while_it_is_loaded(shop: Workshop, options: tuple[str, ...]) -> None:
    """It goes to standard error, as what it prints later."""
    shop.write(
        "jobs.py",
        """
        import subprocess

        print("printed", flush=True)
        subprocess.run(["echo", "echoed"])

        def task(ctx, resource, item):
            return item
        """,
    )
    shop.numbers(3)
    done = shop.run("run", "jobs.py", "in.txt", *options)
    assert done.returncode == 0, done.stderr
    assert sorted(json.loads(line)["index"] for line in done.stdout.splitlines()) == [0, 1, 2]
    assert "printed\nechoed\n" in done.stderr


def test_a_closed_standard_input(shop: Workshop) -> None:
    """It is no empty input."""
    shop.write("jobs.py", SQUARE)
    done = closed(shop, "<&-", "jobs.py", "--output", "out.jsonl")
    assert done.returncode == 2
    assert done.stderr == "tasker run: error: cannot read standard input: Bad file descriptor\n"


def test_an_output_that_is_removed_during_the_run(shop: Workshop) -> None:
    """The results are gone: that is an error, though every item is done."""
    shop.write("jobs.py", "import os\n\ndef task(ctx, r, item):\n    os.unlink('out.jsonl')\n")
    shop.numbers(1)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--quiet")
    assert done.returncode == 1
    assert done.stderr == (
        "tasker run: error: cannot write to out.jsonl: it was removed during the run, with its results\n"
    )


def test_a_job_that_closes_the_standard_streams(shop: Workshop) -> None:
    """It harms itself only: the results are written."""
    shop.write("jobs.py", "import sys\nsys.stdout.close()\nsys.stderr.close()\n" + textwrap.dedent(SQUARE))
    shop.numbers(3)
    done = shop.run("run", "jobs.py", "in.txt")
    assert done.returncode == 0
    assert sorted(json.loads(line)["result"] for line in done.stdout.splitlines()) == [0, 1, 4]


def test_results_are_on_disk_as_soon_as_they_are_there(shop: Workshop) -> None:
    """Nothing of ours buffers: one finished item can be read while the next one still runs."""
    shop.write(
        "jobs.py",
        """
        from pathlib import Path

        def task(ctx, resource, item):
            while item == "1" and not Path("go").exists():
                ctx.wait(0.005)
            return item
        """,
    )
    shop.numbers(2)
    process = shop.start("run", "jobs.py", "in.txt", "--output", "out.jsonl")
    wait_for(lambda: shop.lines() == 1, "the line of the first item")
    assert shop.results() == {0: "0"}
    (shop.folder / "go").touch()
    assert finish(process)[0] == 0
