"""Notes and gates made of files, for tests and their child processes.

They pickle as a path, and what was written survives the death of the process that wrote it.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from support.waiting import WAIT, wait_until

_LIMIT = 90.0


@dataclass(frozen=True)
class Notes:
    """A file to which any number of processes append lines. A line is in the file when `write` returns."""

    path: str

    def write(self, *words: object) -> None:
        """Append a line."""
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, (" ".join(map(str, words)) + "\n").encode())  # one write: lines don't mix
        finally:
            os.close(handle)

    def lines(self, first: str | None = None) -> list[str]:
        """Return all lines; with `first`, the rest of each line that begins with that word."""
        try:
            lines = Path(self.path).read_text().splitlines()
        except FileNotFoundError:
            return []
        if first is None:
            return lines
        return [line[len(first) + 1 :] for line in lines if line.split(" ", 1)[0] == first]

    def numbers(self, first: str) -> list[int]:
        """Return the number behind the word `first` in each line that begins with it."""
        return [int(rest.split()[0]) for rest in self.lines(first)]


@dataclass(frozen=True)
class FileGate:
    """Holds every arrival, in any process, until it is opened; records the process id of each arrival."""

    path: str

    def open(self) -> None:
        """Let every arrival through, now and later."""
        Path(self.path + ".open").touch()

    @property
    def is_open(self) -> bool:
        """Whether the gate is open."""
        return Path(self.path + ".open").exists()

    @property
    def pids(self) -> list[int]:
        """The process ids of the arrivals so far."""
        return Notes(self.path + ".arrived").numbers("pid")

    def arrive(self) -> None:
        """Record an arrival, without waiting."""
        Notes(self.path + ".arrived").write("pid", os.getpid())

    def pass_through(self) -> None:
        """Record an arrival and block until the gate is open."""
        self.arrive()
        end = time.monotonic() + _LIMIT
        while not self.is_open:
            if time.monotonic() > end:
                raise AssertionError("the gate was never opened")
            time.sleep(0.002)

    def wait_arrivals(self, count: int, timeout: float = WAIT) -> list[int]:
        """Wait for `count` arrivals, `timeout` seconds at most; return their process ids."""
        wait_until(lambda: len(self.pids) >= count, timeout, f"{count} arrivals at the gate")
        return self.pids
