"""What a person sees: the live bar on a terminal, plain lines elsewhere, silence when quiet."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from .conftest import DEADLINE_S, Workshop, wait_for
from .jobfiles import SQUARE

pty = pytest.importorskip("pty")

CONTROL = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\r")

# Ten quick items, one that fails, and then as many as there are until `go` exists.
BUSY = """
    from pathlib import Path

    def task(ctx, resource, item):
        if item == "3":
            raise ValueError("[bold]three[/bold]")
        while int(item) >= 10 and not Path("go").exists():
            ctx.wait(0.005)
        print("printed", item)
"""


class Terminal:
    """A run whose standard error, and output if asked for, is a terminal of 80 columns."""

    def __init__(self, shop: Workshop, *arguments: object, **environment: str) -> None:
        self._screen, theirs = pty.openpty()
        os.set_blocking(self._screen, False)
        self.process = subprocess.Popen(
            shop.command(*arguments),
            cwd=shop.folder,
            env=shop.environment(COLUMNS="80", TERM="xterm-256color", **environment),
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
        shop.started.append(self.process)
        os.close(theirs)
        self.raw = b""

    @property
    def text(self) -> str:
        """Everything shown so far, without colours and cursor movements."""
        try:
            while chunk := os.read(self._screen, 65536):
                self.raw += chunk
        except OSError:  # nothing there now, or the other end is closed
            pass
        return CONTROL.sub(b"", self.raw).decode()

    def wait(self) -> int:
        deadline = time.monotonic() + DEADLINE_S
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self.text
            _ = self.text  # a full terminal would block the run
            time.sleep(0.005)
        _ = self.text
        os.close(self._screen)
        return self.process.returncode


def test_the_live_bar(shop: Workshop) -> None:
    """Rate, ETA, failures, workers and queue while it runs; tables at the end; what the job
    prints is not lost, and an error's text is not taken for markup."""
    pytest.importorskip("rich")
    shop.write("jobs.py", BUSY)
    shop.numbers(1500)
    terminal = Terminal(
        shop, "run", "jobs.py", "in.txt", "--output", "out.jsonl",
        "--workers", 2, "--max-workers", 3, "--max-queue", 40,
    )  # fmt: skip
    pattern = re.compile(r"9 done  1 failed  workers 2\+1  queue 40")
    wait_for(lambda: pattern.search(terminal.text), "the bar")
    bar = [line for line in terminal.text.splitlines() if "ETA" in line]
    assert re.search(r"━ +\d+% [\d.]+/s ETA (-|[\d:]+|[\d,]+ days)", bar[-1]), bar[-1]
    (shop.folder / "go").touch()
    assert terminal.wait() == 1
    text = terminal.text
    assert text.count("printed") == 1499
    assert re.search(r"1,499 done, 1 failed", text)
    assert re.search(r"failures\s+error\s+first at index", text)
    assert "[bold]three[/bold]" in text
    assert "100%" in text


def test_ctrl_c_on_the_terminal(shop: Workshop) -> None:
    """The first one says what it does, and what the second one would do."""
    shop.write("jobs.py", BUSY)
    shop.numbers(5000)
    terminal = Terminal(shop, "run", "jobs.py", "in.txt", "--output", "out.jsonl", "--workers", 2)
    wait_for(lambda: "9 done" in terminal.text, "the first items")
    terminal.process.send_signal(signal.SIGINT)
    wait_for(lambda: "a second signal kills" in terminal.text, "the notice")
    (shop.folder / "go").touch()
    assert terminal.wait() == 130
    assert "stopped by SIGINT" in terminal.text


def test_a_terminal_without_rich(shop: Workshop) -> None:
    """Plain lines and a plain summary: rich is never needed."""
    shop.write("jobs.py", BUSY)
    shop.write("without/rich/__init__.py", "raise ImportError('hidden')\n")
    shop.numbers(200)
    hide = os.pathsep.join([str(shop.folder / "without"), shop.environment()["PYTHONPATH"]])
    terminal = Terminal(
        shop, "run", "jobs.py", "in.txt", "--output", "out.jsonl", "--progress-interval", 0.05,
        PYTHONPATH=hide,
    )  # fmt: skip
    wait_for(lambda: "9 done, 1 failed" in terminal.text, "a plain line")
    (shop.folder / "go").touch()
    assert terminal.wait() == 1
    assert "tasker run: 199 done, 1 failed" in terminal.text
    assert "1 x ValueError, index 3" in terminal.text


def test_results_on_the_terminal_are_not_torn_by_a_bar(shop: Workshop) -> None:
    """Lines of progress between lines of results."""
    shop.write("jobs.py", SQUARE)
    shop.numbers(20)
    terminal = Terminal(shop, "run", "jobs.py", "in.txt")
    assert terminal.wait() == 0
    assert terminal.text.count('"status": "done"') == 20
    assert "ETA" not in terminal.text
    assert "20 done, 0 failed" in terminal.text


def test_plain_lines_at_intervals(shop: Workshop) -> None:
    """With the share and the ETA where the input's size is known."""
    shop.write("jobs.py", BUSY)
    shop.numbers(1000)
    process = shop.start(
        "run", "jobs.py", "in.txt", "--output", "out.jsonl", "--progress-interval", 0.05,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stderr is not None
    pattern = re.compile(rb"tasker run: 1%, 9 done, 1 failed, [\d.]+/s, ETA \S+, workers 4\+\d, queue \d+\n")
    seen = b""
    while not pattern.search(seen):
        line = process.stderr.readline()
        assert line, seen
        seen += line
    (shop.folder / "go").touch()
    assert process.stderr.read()
    assert process.wait(timeout=20) == 1


@pytest.mark.parametrize("options", [["--quiet"], ["--quiet", "--progress-interval", "0.01"]])
def test_quiet(shop: Workshop, options: list[str]) -> None:
    shop.write("jobs.py", SQUARE)
    shop.numbers(2000)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", *options)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("backend", ["thread", "process"])
def test_quiet_hides_warnings(shop: Workshop, backend: str) -> None:
    """Those of the library, of the job and of Python; --log-level shows them all the same."""
    shop.write(
        "jobs.py",
        """
        import logging, warnings
        from pathlib import Path

        def on_create():
            try:
                Path("tried").mkdir()
            except FileExistsError:
                return
            raise ConnectionError("not yet")

        def task(ctx, resource, item):
            logging.getLogger("job").warning("from logging")
            warnings.warn("from warnings", stacklevel=1)
        """,
    )
    shop.numbers(3)
    command = ("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--quiet", "--backend", backend)
    done = shop.run(*command)
    assert (done.returncode, done.stderr) == (0, "")
    (shop.folder / "tried").rmdir()
    done = shop.run(*command, "--overwrite", "--log-level", "warning")
    assert done.returncode == 0
    assert "WARNING tasker: jobs: a resource could not be made" in done.stderr
    assert "WARNING job: from logging" in done.stderr
    assert "UserWarning: from warnings" in done.stderr


def test_rich_is_not_imported_where_it_is_not_used(shop: Workshop) -> None:
    shop.write("jobs.py", SQUARE)
    shop.numbers(3)
    program = (
        "import sys; from tasker.cli import main;"
        "code = main(['run', 'jobs.py', 'in.txt', '--output', 'o']);"
        "print(code, sorted(m for m in sys.modules if m.split('.')[0] == 'rich'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=shop.folder, env=shop.environment(),
        capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    assert done.stdout == "0 []\n", done.stderr


def test_the_log_level(shop: Workshop) -> None:
    """Holds for the job's own messages as well."""
    shop.write(
        "jobs.py",
        """
        import logging

        def task(ctx, resource, item):
            logging.getLogger("job").info("saw %s", item)
        """,
    )
    shop.numbers(1)
    quiet = shop.run("run", "jobs.py", "in.txt", "--output", "a")
    assert "saw 0" not in quiet.stderr
    loud = shop.run("run", "jobs.py", "in.txt", "--output", "b", "--log-level", "info")
    assert "INFO job: saw 0" in loud.stderr


def test_a_bar_while_results_are_read(shop: Workshop) -> None:
    pytest.importorskip("rich")
    shop.write("jobs.py", SQUARE)
    shop.numbers(150_000)
    with (shop.folder / "out.jsonl").open("w") as output:
        for n in range(150_000):
            output.write(f'{{"index": {n}, "input": "{n}", "status": "done", "result": {n * n}}}\n')
    terminal = Terminal(shop, "run", "jobs.py", "in.txt", "--output", "out.jsonl", "--resume")
    assert terminal.wait() == 0
    assert re.search(r"reading out.jsonl .*\d+%", terminal.text)
