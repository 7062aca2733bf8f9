"""Scripted resources and tasks for the chaos run of all pieces: they fail, take long, hang and die, in any process.

What they did is written to files, so that it outlives the process that did it. A hang ends with `Script.release` at the latest.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.files_between_processes import FileGate, Notes
from tasker import Health, NoRetry, Snooze

POLL = 0.003
LIMIT = 60.0


class Broken(Exception):
    """The resource is to blame."""


class Busy(Exception):
    """The server asks for a pause."""


class Down(Exception):
    """What the resource depends on is down."""


class Transient(Exception):
    """An error that `retry_on` names."""


def judge(error: BaseException) -> bool | Health:
    """A `check_health` with every verdict."""
    if isinstance(error, Busy):
        return Health.COOL_DOWN(0.01)
    if isinstance(error, Down):
        return Health.DEPENDENCY_DOWN
    return Health.REPLACE if isinstance(error, Broken) else Health.OK


@dataclass
class Thing:
    """A resource; its number is that of its creation."""

    number: int
    fate: random.Random
    of_worker: bool = True
    """Whether it is a worker's, and not `run_task`'s, which calls `on_return` without a limit."""


@dataclass(frozen=True)
class Step:
    """What a task does in one attempt."""

    what: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Script:
    """The faults of one scenario: where, and how likely. Pickles; the counts are in files."""

    folder: str
    seed: int
    home: int
    chances: dict[str, float]

    @property
    def notes(self) -> Notes:
        """What was done."""
        return Notes(f"{self.folder}/notes")

    @property
    def gate(self) -> FileGate:
        """What hangs hangs here."""
        return FileGate(f"{self.folder}/gate")

    def arm(self) -> None:
        """Let faults happen from now on."""
        Path(f"{self.folder}/armed").touch()

    def release(self) -> None:
        """End every hang, and let no further fault happen."""
        self.gate.open()

    def next(self, of: str) -> int:
        """Count, in all processes; return the number from 1 on."""
        handle = os.open(f"{self.folder}/count-{of}", os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, b".")
            return os.lseek(handle, 0, os.SEEK_CUR)  # where this one has ended, even if others have appended since
        finally:
            os.close(handle)

    def fault(self, where: str, fate: random.Random) -> str | None:
        """What goes wrong at this point, if anything: "fail", "slow", "hang" or "die"."""
        if self.gate.is_open or not Path(f"{self.folder}/armed").exists() or fate.random() > self.chances[where]:
            return None
        return fate.choice(["fail", "fail", "fail", "slow", "slow", "hang", "die"])

    def strike(self, where: str, fate: random.Random) -> bool:
        """Let what goes wrong here go wrong; return whether to hang."""
        fault = self.fault(where, fate)
        if fault == "fail":
            raise RuntimeError(f"{where} fails")
        if fault == "slow":
            time.sleep(0.01)
        if fault == "die":
            self.die()
        return fault == "hang"

    def die(self) -> None:
        """End a child process at once; never the process of the test."""
        if os.getpid() != self.home:
            os.kill(os.getpid(), signal.SIGKILL)

    def hang(self) -> None:
        """Block until the release."""
        end = time.monotonic() + LIMIT
        while not self.gate.is_open and time.monotonic() < end:
            time.sleep(POLL)

    async def ahang(self, stubborn: bool = False) -> None:
        """Do what `hang` does in a coroutine. `stubborn`: a cancellation is swallowed."""
        end = time.monotonic() + LIMIT
        while not self.gate.is_open and time.monotonic() < end:
            try:
                await asyncio.sleep(POLL)
            except asyncio.CancelledError:
                if not stubborn:
                    raise

    def made(self, *, of_worker: bool) -> Thing:
        """Note a resource that is returned in the next moment."""
        number = self.next("made")
        self.notes.write("made", number, os.getpid())
        return Thing(number, random.Random(f"{self.seed}-thing-{number}"), of_worker)

    def tried(self) -> random.Random:
        """The fate of a creation."""
        return random.Random(f"{self.seed}-create-{self.next('creation')}")

    def ended(self, thing: Thing) -> None:
        """Note that `on_destroy` was called."""
        self.notes.write("ended", thing.number)


@dataclass(frozen=True)
class Hooks:
    """The callbacks of a configuration, as plain functions."""

    script: Script
    resets_hang: bool = False
    """Whether there is a limit for `on_return`."""

    def create(self, worker: Any) -> Thing:
        """Make a resource."""
        if self.script.strike("create", self.script.tried()):
            self.script.hang()
        return self.script.made(of_worker=worker.slot > 0)

    def destroy(self, thing: Thing) -> None:
        """End one."""
        self.script.ended(thing)
        self._at("destroy", thing)

    def give_back(self, thing: Thing) -> None:
        """Reset one."""
        if self.script.strike("return", thing.fate) and self.resets_hang and thing.of_worker:
            self.script.hang()

    def check(self, thing: Thing) -> bool:
        """Look at an idle one."""
        self._at("check", thing)
        return thing.fate.random() > 0.1

    def _at(self, where: str, thing: Thing) -> None:
        if self.script.strike(where, thing.fate):
            self.script.hang()


@dataclass(frozen=True)
class AsyncHooks:
    """The same as coroutine functions."""

    script: Script
    resets_hang: bool = False

    async def create(self, worker: Any) -> Thing:
        """Make a resource."""
        await asyncio.sleep(0)
        if self.script.strike("create", self.script.tried()):
            await self.script.ahang()
        return self.script.made(of_worker=worker.slot > 0)

    async def destroy(self, thing: Thing) -> None:
        """End one."""
        self.script.ended(thing)
        await self._at("destroy", thing)

    async def give_back(self, thing: Thing) -> None:
        """Reset one."""
        await asyncio.sleep(0)
        if self.script.strike("return", thing.fate) and self.resets_hang and thing.of_worker:
            await self.script.ahang()

    async def check(self, thing: Thing) -> bool:
        """Look at an idle one."""
        await self._at("check", thing)
        return thing.fate.random() > 0.1

    async def _at(self, where: str, thing: Thing) -> None:
        await asyncio.sleep(0)
        if self.script.strike(where, thing.fate):
            await self.script.ahang()


def begin(script: Script, number: int, steps: tuple[Step, ...]) -> Step:
    """Note the start of an attempt; raise what it raises, or return what it does."""
    attempt = script.next(f"task-{number}")
    step = steps[min(attempt, len(steps)) - 1]
    script.notes.write("start", number, step.what)
    if step.what == "snooze" and script.gate.is_open:
        return Step("return")
    if step.what == "snooze":
        script.notes.write("snooze", number)
        raise Snooze(step.seconds)
    errors: dict[str, type[Exception]] = {
        "error": ValueError,
        "transient": Transient,
        "broken": Broken,
        "busy": Busy,
        "down": Down,
        "no retry": NoRetry,
    }
    if step.what in errors:
        raise errors[step.what](f"attempt {attempt} of task {number}")
    if step.what == "die":
        script.die()
    return step


def task(ctx: Any, thing: Thing, script: Script, number: int, steps: tuple[Step, ...]) -> int:
    """A task that follows its steps, one for each attempt."""
    step = begin(script, number, steps)
    if step.what == "wait" and ctx.wait(step.seconds):
        ctx.raise_if_cancelled()
    if step.what in ("hang", "stubborn"):
        script.hang()
    return number


async def atask(ctx: Any, thing: Thing, script: Script, number: int, steps: tuple[Step, ...]) -> int:
    """`task` as a coroutine function."""
    step = begin(script, number, steps)
    if step.what == "wait":
        await asyncio.sleep(step.seconds)
    if step.what in ("hang", "stubborn"):
        await script.ahang(step.what == "stubborn")
    return number


@dataclass(frozen=True)
class Mapped:
    """A task for `map`, which gives it one input."""

    script: Script

    def run(self, ctx: Any, thing: Thing, number: int) -> int:
        """As a plain function."""
        return task(ctx, thing, self.script, number, (Step("return"),))

    async def arun(self, ctx: Any, thing: Thing, number: int) -> int:
        """As a coroutine function."""
        return await atask(ctx, thing, self.script, number, (Step("return"),))
