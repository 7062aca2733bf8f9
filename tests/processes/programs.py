"""Whole programs for tests: run in an interpreter of their own, and what is left of them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import uuid
from pathlib import Path

import psutil
import pytest

from support.processes import is_running
from support.waiting import WAIT, wait_until

TESTS = Path(__file__).parents[1]
methods = pytest.mark.parametrize("method", ["forkserver", "spawn"])
MARK = "TASKER_TEST_MARK"


class Program:
    """Runs scripts in a folder of their own; knows every process that came of them, orphans included."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Not below the folder: sockets are made in it, and their paths have a limit.
        self.temporary = Path(tempfile.mkdtemp(prefix="tasker-"))
        self._mark = uuid.uuid4().hex
        self._running: list[subprocess.Popen[str]] = []

    @property
    def environment(self) -> dict[str, str]:
        """With a mark that all descendants inherit, and temporary files in a folder of their own."""
        path = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
        return {**os.environ, "PYTHONPATH": path, "TMPDIR": str(self.temporary), MARK: self._mark}

    def start(self, source: str, *arguments: object, command: list[str] | None = None) -> subprocess.Popen[str]:
        """Write the script and start it, in a session of its own."""
        script = self.folder / "program.py"
        script.write_text(textwrap.dedent(source))
        process = subprocess.Popen(
            [sys.executable, "-W", "error", *(command or [str(script)]), *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._running.append(process)
        return process

    def run(self, source: str, *arguments: object, command: list[str] | None = None) -> str:
        """Run the script to its end; what it printed. Fails on an exit code, an error output, or if anything is left."""
        process = self.start(source, *arguments, command=command)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, out + err
        assert err == "", err
        self.check_nothing_is_left()
        return out

    def left(self) -> list[int]:
        """Processes that carry the mark."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self._mark and is_running(process.pid):
                    found.append(process.pid)
            except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess, OSError):
                continue
        return found

    def check_nothing_is_left(self) -> None:
        """No process, no temporary file."""
        wait_until(lambda: not self.left(), WAIT, f"no process is left: {self.left()}")
        wait_until(lambda: not [*self.temporary.iterdir()], what=f"no file is left: {[*self.temporary.iterdir()]}")

    def end(self) -> None:
        """Kill what a failed test has left."""
        for pid in self.left():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for process in self._running:
            process.communicate(timeout=60)
        shutil.rmtree(self.temporary, ignore_errors=True)
