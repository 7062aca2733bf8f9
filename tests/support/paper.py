"""Notes and doors made of files: they survive the death of whoever uses them, and travel to child processes as their paths."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from support.waiting import WAIT, wait_until

_LIMIT = 90.0


@dataclass(frozen=True)
class Notes:
    """Lines in a file, in the order of writing, from any number of processes; a line that `write` returned from is there."""

    path: str

    def write(self, *words: object) -> None:
        """Add a line."""
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, (" ".join(map(str, words)) + "\n").encode())  # one write: lines don't mix
        finally:
            os.close(handle)

    def lines(self, first: str | None = None) -> list[str]:
        """All lines; with `first`, what follows that word in those that begin with it."""
        try:
            lines = Path(self.path).read_text().splitlines()
        except FileNotFoundError:
            return []
        if first is None:
            return lines
        return [line[len(first) + 1 :] for line in lines if line.split(" ", 1)[0] == first]

    def numbers(self, first: str) -> list[int]:
        """The number behind the word `first` in each line that begins with it."""
        return [int(rest.split()[0]) for rest in self.lines(first)]


@dataclass(frozen=True)
class Door:
    """A closed door; who comes writes its process id beside it."""

    path: str

    def open(self) -> None:
        """Let everyone through, from now on."""
        Path(self.path + ".open").touch()

    @property
    def is_open(self) -> bool:
        """Whether the door is open."""
        return Path(self.path + ".open").exists()

    @property
    def pids(self) -> list[int]:
        """Who came so far."""
        return Notes(self.path + ".arrived").numbers("pid")

    def arrive(self) -> None:
        """Count oneself, without waiting."""
        Notes(self.path + ".arrived").write("pid", os.getpid())

    def pass_through(self) -> None:
        """Count oneself and block until the door is open."""
        self.arrive()
        end = time.monotonic() + _LIMIT
        while not self.is_open:
            if time.monotonic() > end:
                raise AssertionError("nobody opened the door")
            time.sleep(0.002)

    def wait_arrivals(self, count: int, timeout: float = WAIT) -> list[int]:
        """Wait until `count` have arrived; their process ids."""
        wait_until(lambda: len(self.pids) >= count, timeout, f"{count} arrivals at the door")
        return self.pids
