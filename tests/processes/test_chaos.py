"""Children killed at random points, again and again: every task has its outcome, and nothing is left."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from support.files_between_processes import Notes
from support.processes import is_running
from support.shared_memory import SharedMemoryLeaks
from support.waiting import WAIT, Call, wait_until
from tasker import (
    AsyncTaskManager,
    Config,
    MaxRetriesExceeded,
    Priority,
    ProcessBackend,
    TaskCancelled,
    TaskKilled,
    TaskManager,
    TravelError,
    WorkerLost,
)

from . import work

POINTS = ["before create", "in create", "before the task", "in the task", "writing", "in destroy", "anywhere"]
ROUNDS = [
    pytest.param(16, marks=pytest.mark.timeout(300), id="16"),
    pytest.param(1000, marks=[pytest.mark.soak, pytest.mark.timeout(7200)], id="1000"),
]
TASKS = 40
DEATHS = ["SIGKILL", "SIGKILL", "segfault", "3", "SIGABRT"]


@dataclass(frozen=True)
class Fate:
    """Kills a process at one point, with some probability, and so many times in all, counted in files."""

    folder: str
    point: str
    chance: float
    deaths: int
    home: int

    def strike(self, point: str) -> None:
        """Die here, perhaps. Never in the process of the test."""
        if point != self.point or os.getpid() == self.home or random.random() > self.chance:
            return
        for number in range(self.deaths):
            try:
                os.close(os.open(f"{self.folder}/death{number}", os.O_CREAT | os.O_EXCL, 0o600))
            except FileExistsError:
                continue
            work.die(random.choice(DEATHS))


@dataclass
class Fuse:
    """Strikes where it is unpickled (`arriving`) or pickled (`leaving`)."""

    fate: Fate
    arriving: str = ""
    leaving: str = ""

    def __reduce__(self) -> Any:
        self.fate.strike(self.leaving)
        return light, (self.fate, self.arriving, self.leaving)


def light(fate: Fate, arriving: str, leaving: str) -> Fuse:
    """What a Fuse becomes when it is unpickled."""
    fate.strike(arriving)
    return Fuse(fate, arriving, leaving)


def create(notes: Notes, fate: Fate, fuse: Fuse) -> work.Thing:
    """Make a resource, or die before or after."""
    random.seed()
    fate.strike("in create")
    thing = work.make(notes)
    fate.strike("in create")
    return thing


def destroy(fate: Fate, thing: work.Thing) -> None:
    """End a resource, or die before or after."""
    fate.strike("in destroy")
    thing.end()
    fate.strike("in destroy")


def task(ctx: Any, thing: work.Thing, number: int, fuse: Fuse) -> tuple[int, bytes, Fuse]:
    """Start durably, perhaps die, return something that may kill while it is written."""
    thing.notes.write("start", number)
    fuse.fate.strike("in the task")
    if number % 5 == 0:
        time.sleep(0.002)
    size = 300_000 if number % 7 == 0 else 10
    return number, b"x" * size, Fuse(fuse.fate, leaving="writing")


async def atask(ctx: Any, thing: work.Thing, number: int, fuse: Fuse) -> tuple[int, bytes, Fuse]:
    """`task` as a coroutine function."""
    await asyncio.sleep(0)
    return task(ctx, thing, number, fuse)


class Round:
    """One manager, forty tasks, some deaths."""

    def __init__(self, folder: Path, seed: int) -> None:
        folder.mkdir()
        self.rng = random.Random(seed)
        self.notes = Notes(str(folder / "notes"))
        self.point = POINTS[seed % len(POINTS)]
        self.fate = Fate(str(folder), self.point, self.rng.choice([0.1, 0.5, 1.0]), self.rng.randint(1, 4), os.getpid())
        self.plan = [(n, self.rng.random() < 0.5, self.rng.choice(list(Priority))) for n in range(TASKS)]
        self.cancelled = {n for n in range(TASKS) if self.rng.random() < 0.1}
        self.end = self.rng.choice(["stop", "stop", "stop", "kill"])
        self.what = f"seed {seed}: {self.point}, {self.fate.deaths} deaths at {self.fate.chance}, {self.end}"

    @property
    def config(self) -> Config[Any]:
        """Three children; a task is tried more often than the fate can strike."""
        return Config(
            on_create=partial(create, self.notes, self.fate, Fuse(self.fate, arriving="before create")),
            on_destroy=partial(destroy, self.fate),
            worker_count=3,
            max_worker_count=3,
            resource_pool_size=0,
            max_retries=10,
            creation_backoff=0.01,
            cancel_grace=0.3,
            backend=ProcessBackend(max_tasks=self.rng.choice([None, None, 5]), pipeline=self.rng.random() < 0.8),
        )

    @property
    def fuse(self) -> Fuse:
        """An argument that may kill on its arrival."""
        return Fuse(self.fate, arriving="before the task")

    @contextmanager
    def blows(self) -> Iterator[None]:
        """For the point "anywhere": blows from outside, at any child, in any moment."""
        ended = threading.Event()

        def strike() -> None:
            for _ in range(self.fate.deaths):
                if ended.wait(self.rng.random() * 0.05):
                    return
                pids = [pid for pid in {*self.notes.numbers("create")} if is_running(pid)]
                if pids:
                    try:
                        psutil.Process(self.rng.choice(pids)).kill()
                    except psutil.NoSuchProcess:
                        continue

        call = Call(strike) if self.point == "anywhere" else None
        try:
            yield
        finally:
            ended.set()
            if call is not None:
                call.outcome()

    def check(self, outcomes: list[Any], attempts: list[int], ledger: Any) -> None:
        """Everything that is promised."""
        starts = Counter(self.notes.numbers("start"))
        for (number, once, _), outcome, attempted in zip(self.plan, outcomes, attempts, strict=True):
            said = f"{self.what}: task {number}: {outcome!r} after {attempted} attempts, {starts[number]} starts"
            if once:
                assert starts[number] <= 1, said
                assert attempted <= 1, said
            if isinstance(outcome, tuple):
                assert outcome[0] == number, said
                assert starts[number] >= 1, said
            elif isinstance(outcome, TaskKilled):
                assert self.end == "kill", said
            elif isinstance(outcome, TaskCancelled | asyncio.CancelledError):
                assert number in self.cancelled or self.end == "kill", said
            elif once:
                assert isinstance(outcome, WorkerLost), said
            else:
                assert isinstance(outcome, MaxRetriesExceeded), said
            assert not isinstance(outcome, TravelError), said
        assert ledger.created == ledger.destroyed + ledger.lost, (self.what, ledger)
        pids = {*self.notes.numbers("create")}
        wait_until(lambda: not any(map(is_running, pids)), WAIT, f"{self.what}: no child is left")
        ended = self.notes.numbers("destroy")
        assert len(ended) == len({*ended}), self.what
        if self.end == "stop" and self.point != "in destroy":
            assert len(ended) == ledger.destroyed, (self.what, ledger)

    def with_threads(self) -> None:
        """One round of a TaskManager."""
        manager = TaskManager(self.config)
        with self.blows():
            futures = [
                manager.submit(task, number, self.fuse, once=once, priority=priority)
                for number, once, priority in self.plan
            ]
            for number in self.cancelled:
                futures[number].cancel()
            if self.end == "kill":
                time.sleep(self.rng.random() * 0.1)  # not to synchronise: any moment will do
                Call(manager.kill, 5).outcome(60)
            outcomes = [outcome_of(future, self.what) for future in futures]
            Call(manager.stop).outcome(60)
        self.check(outcomes, [future.attempts for future in futures], manager.stats().resources)

    async def with_asyncio(self) -> None:
        """One round of an AsyncTaskManager."""
        async with AsyncTaskManager(self.config) as manager:
            with self.blows():
                futures = [
                    manager.submit(atask, number, self.fuse, once=once, priority=priority)
                    for number, once, priority in self.plan
                ]
                for number in self.cancelled:
                    futures[number].cancel()
                if self.end == "kill":
                    await asyncio.sleep(self.rng.random() * 0.1)
                    await asyncio.wait_for(manager.kill(5), 60)
                outcomes = await asyncio.wait_for(asyncio.gather(*futures, return_exceptions=True), 90)
                await asyncio.wait_for(manager.stop(), 60)
        self.check(outcomes, [future.attempts for future in futures], manager.stats().resources)


def outcome_of(future: Any, what: str) -> Any:
    """The result or the error."""
    try:
        return future.result(90)
    except TimeoutError:
        raise AssertionError(f"{what}: no outcome: {future!r}") from None
    except BaseException as error:
        return error


def descriptors() -> int:
    """How many this process has open."""
    folder = Path("/proc/self/fd")
    return len([*folder.iterdir()]) if folder.is_dir() else 0


@pytest.fixture
def nothing_left(tmp_path: Path) -> Iterator[None]:
    """Compares descriptors, threads, children and files before and after; what the first round needs may stay."""
    Round(tmp_path / "first", 3).with_threads()
    asyncio.run(Round(tmp_path / "second", 3).with_asyncio())
    before, leaks = (
        (descriptors(), names(), {one.pid for one in psutil.Process().children(recursive=True)}),
        SharedMemoryLeaks(),
    )
    yield
    wait_until(lambda: descriptors() <= before[0], WAIT, f"descriptors: {before[0]} {descriptors()}")
    wait_until(leaks.are_none, WAIT, "no shared memory is left")
    wait_until(lambda: len(names()) <= len(before[1]), WAIT, f"threads: {before[1]} {names()}")
    wait_until(
        lambda: len(psutil.Process().children(recursive=True)) <= len(before[2]),
        WAIT,
        f"processes: {before[2]} {psutil.Process().children(recursive=True)}",
    )


def names() -> list[str]:
    """Of the threads of this process, but for those that make calls for tests."""
    return sorted(one.name for one in threading.enumerate() if one.name != "contract-call")


@pytest.mark.parametrize("rounds", ROUNDS)
def test_chaos(tmp_path: Path, nothing_left: None, rounds: int) -> None:
    """Every future resolved, no `once` task started twice, no child, pipe or file left."""
    for seed in range(rounds):
        Round(tmp_path / str(seed), seed).with_threads()


@pytest.mark.parametrize("rounds", ROUNDS)
def test_chaos_in_asyncio(tmp_path: Path, nothing_left: None, rounds: int) -> None:
    """The same with coroutine tasks in the children of an AsyncTaskManager."""
    for seed in range(rounds):
        asyncio.run(Round(tmp_path / str(seed), seed).with_asyncio())
