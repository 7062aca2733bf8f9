"""A folder, a job file in it, and the real command run on it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tasker

DEADLINE_S = 30.0
SOURCES = str(Path(tasker.__file__).resolve().parents[1])


class Workshop:
    """Runs `tasker` in a folder of its own. Processes still running at the end are killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[bytes]] = []

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def read(self, name: str) -> str:
        return (self.folder / name).read_text(encoding="utf-8")

    def numbers(self, count: int, name: str = "in.txt") -> Path:
        return self.write(name, "".join(f"{n}\n" for n in range(count)))

    def command(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "tasker", *map(str, arguments)]

    def environment(self, **more: str) -> dict[str, str]:
        """The command runs the same `tasker` that the tests import, whatever the folder."""
        path = os.pathsep.join([SOURCES, *filter(None, [os.environ.get("PYTHONPATH")])])
        return {**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "default", **more}

    def run(self, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
        options.setdefault("stdin", None if "input" in options else subprocess.DEVNULL)
        if options["stdin"] is None:
            del options["stdin"]
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(),
            text=True,
            encoding="utf-8",
            check=False,
            **{
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "timeout": DEADLINE_S,
                **options,
            },
        )

    def start(self, *arguments: object, **options: Any) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(),
            **{"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE, **options},
        )
        self.started.append(process)
        return process

    def records(self, name: str = "out.jsonl") -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.read(name).splitlines()]

    def lines(self, name: str = "out.jsonl") -> int:
        path = self.folder / name
        return path.read_bytes().count(b"\n") if path.exists() else 0

    def results(self, name: str = "out.jsonl") -> dict[int, Any]:
        """Result by index; fails when an index has two lines or an item is not done."""
        records = self.records(name)
        assert len({r["index"] for r in records}) == len(records), "an index has two lines"
        assert {r["status"] for r in records} <= {"done"}
        return {r["index"]: r["result"] for r in records}

    def clean_up(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()


@pytest.fixture(autouse=True, scope="session")
def _ctrl_c_is_heeded() -> None:
    """A shell starts what runs in the background with SIGINT ignored, which the commands would inherit."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Workshop]:
    workshop = Workshop(tmp_path)
    yield workshop
    workshop.clean_up()


def wait_for(condition: Callable[[], Any], what: str, within: float = DEADLINE_S) -> None:
    """Poll until true; AssertionError at the deadline."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} s: {what}"
        time.sleep(0.005)


def wait_for_message(process: subprocess.Popen[bytes], word: bytes) -> None:
    """Waits until a line of standard error contains the word."""
    assert process.stderr is not None
    for line in process.stderr:
        if word in line:
            return
    raise AssertionError(f"standard error never contained {word!r}")


def finish(process: subprocess.Popen[bytes], within: float = DEADLINE_S) -> tuple[int, str]:
    """Exit code and standard error."""
    _, errors = process.communicate(timeout=within)
    return process.returncode, (errors or b"").decode()
