"""What a task costs, counted in what doesn't vary with the machine: bytecode instructions, locks, memory.

Benchmarks tell whether the library is fast; they can't tell by a test run on a busy machine that it became slower.
These counts can: they are the same everywhere for one version of Python, and go up when something is added to the path
that every task takes.

Where a test here fails, see what the change put on that path. Can it be done once for a worker or a batch, only for
tasks that fail, or only where the option is used? If it has to be there, measure it with `make bench`, and raise the
ceiling in the same commit, with the figure in its message. Where a count went down, lower the ceiling, so that it stays
down.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any, Self

import pytest

from support.waiting import wait_until
from tasker import AsyncTaskManager, Config, TaskManager
from tasker.metrics.meter import BATCH

SUBMITTING, WORKING, AWAITING = "submitting", "working", "awaiting in a loop"

MOST_INSTRUCTIONS: dict[tuple[int, int], dict[str, float]] = {
    (3, 11): {SUBMITTING: 104.5, WORKING: 239, AWAITING: 665.5},
    (3, 12): {SUBMITTING: 99.5, WORKING: 206.5, AWAITING: 605.5},
    (3, 13): {SUBMITTING: 99.5, WORKING: 211.5, AWAITING: 631.5},
}
"""A task, by version of Python: the compiler differs. A newer version than these has to keep within the newest."""

MOST_BLOCKS = 6.5
"""Allocated blocks that a queued task holds, its future not counted by the caller."""

WHAT_TO_DO = "see the head of this file for what to do"


def nothing(ctx: object, resource: object) -> None:
    """The task."""


def config(**options: Any) -> Config[object]:
    return Config(**{"on_create": object, "worker_count": 1, "max_worker_count": 1, "resource_pool_size": 0, **options})


@contextmanager
def held_up(manager: TaskManager[object]) -> Iterator[Callable[[], None]]:
    """The only worker is busy until the function that this gives is called, or the end."""
    inside, door = threading.Event(), threading.Event()

    def hold(ctx: object, resource: object) -> None:
        inside.set()
        door.wait(60)

    manager.submit(hold)
    assert inside.wait(10)
    try:
        yield door.set
    finally:
        door.set()


# -- instructions -----------------------------------------------------------------------------------------------------


class Instructions:
    """Counts the bytecode instructions of every thread, by its ident, in all code but that of this file."""

    def __init__(self) -> None:
        self.of_thread: Counter[int] = Counter()

    def __enter__(self) -> Self:
        if sys.version_info >= (3, 12):
            self._monitor()
        else:
            self._before = sys.gettrace()
            threading.settrace(self._call)
            sys.settrace(self._call)
        return self

    def __exit__(self, *exc: object) -> None:
        if sys.version_info >= (3, 12):
            sys.monitoring.set_events(self._tool, 0)
            sys.monitoring.register_callback(self._tool, sys.monitoring.events.INSTRUCTION, None)
            sys.monitoring.free_tool_id(self._tool)
        else:
            sys.settrace(self._before)
            threading.settrace(self._before)  # type: ignore[arg-type]

    def _monitor(self) -> None:
        if sys.version_info >= (3, 12):
            self._tool = next(number for number in (3, 4, 5) if sys.monitoring.get_tool(number) is None)
            sys.monitoring.use_tool_id(self._tool, "cost per task")
            events = sys.monitoring.events
            sys.monitoring.register_callback(self._tool, events.INSTRUCTION, self._instruction)
            sys.monitoring.set_events(self._tool, events.INSTRUCTION)

    def _instruction(self, code: CodeType, offset: int) -> Any:
        if code.co_filename == __file__:
            return sys.monitoring.DISABLE if sys.version_info >= (3, 12) else None
        self.of_thread[threading.get_ident()] += 1
        return None

    def _call(self, frame: FrameType, event: str, arg: object) -> Any:
        if frame.f_code.co_filename == __file__:
            return None
        frame.f_trace_lines = False
        frame.f_trace_opcodes = True
        thread = threading.get_ident()

        def each(frame: FrameType, event: str, arg: object) -> Any:
            if event == "opcode":
                self.of_thread[thread] += 1
            return each

        return each


def instructions(tasks: int) -> dict[str, int]:
    """Of both sides, for so many tasks, the start of the worker included."""
    here = threading.get_ident()
    worker: list[int] = []
    with Instructions() as counted, TaskManager(config()) as manager:
        manager.submit(lambda ctx, resource: worker.append(threading.get_ident())).result(10)
        with held_up(manager) as let_go:
            before = counted.of_thread[here]
            for _ in range(tasks - 1):
                manager.submit(nothing)
            last = manager.submit(nothing)
            submitting = counted.of_thread[here] - before
            let_go()
            wait_until(last.done)
        manager.stop()
        return {SUBMITTING: submitting, WORKING: counted.of_thread[worker[0]]}


async def anothing(ctx: object, resource: object) -> None:
    """The task, for a loop."""


def instructions_in_a_loop(tasks: int) -> dict[str, int]:
    """Of one caller that awaits so many tasks, each of which ends before the loop has another turn."""

    async def main() -> dict[str, int]:
        async with AsyncTaskManager(config()) as manager:
            engine: Any = manager._engine
            now = time.monotonic()
            engine.turns.clock = lambda: now  # or the time of the callers in one turn would be over in the middle of it
            while not engine.queue.idle:
                await asyncio.sleep(0)
            before = counted.of_thread[here]
            for _ in range(tasks):
                await manager.queue_task(anothing)
            return {AWAITING: counted.of_thread[here] - before}

    here = threading.get_ident()
    with Instructions() as counted:
        return asyncio.run(main())


@pytest.mark.parametrize("side", [SUBMITTING, WORKING, AWAITING])
def test_instructions(side: str) -> None:
    """A further task costs each side so many instructions: what is done once for a worker cancels out."""
    gc.collect()
    gc.disable()  # the finalizers of what other tests have left would count
    count = instructions_in_a_loop if side == AWAITING else instructions
    try:
        few, many = count(50)[side], count(350)[side]
    finally:
        gc.enable()
    a_task = (many - few) / 300
    ceiling = MOST_INSTRUCTIONS.get(sys.version_info[:2], MOST_INSTRUCTIONS[max(MOST_INSTRUCTIONS)])[side]
    assert a_task <= ceiling, f"{a_task:.1f} instructions a task when {side}, {ceiling:g} at most: {WHAT_TO_DO}"
    assert a_task > ceiling / 2, f"only {a_task:.1f} instructions a task when {side}: lower the ceiling of {ceiling:g}"


# -- locks ------------------------------------------------------------------------------------------------------------


class CountedLock:
    """A lock that writes down which thread takes it."""

    def __init__(self, lock: Any, taken: Counter[int]) -> None:
        self._lock = lock
        self._taken = taken

    def acquire(self, *args: Any, **kwargs: Any) -> Any:
        # Not current_thread(): that takes locks where it does not know the thread.
        self._taken[threading.get_ident()] += 1
        return self._lock.acquire(*args, **kwargs)

    def __enter__(self) -> Any:
        return self.acquire()

    def __exit__(self, *exc: object) -> None:
        self._lock.release()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lock, name)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """How often each thread took a lock of Python's ``threading`` or ``_thread`` that was made during the test.

    What C code locks by itself (``SimpleQueue``, and without the GIL each list and deque) is not seen.
    """
    import _thread

    count: Counter[int] = Counter()
    for module, name in ((threading, "Lock"), (threading, "RLock"), (_thread, "allocate_lock"), (_thread, "RLock")):
        make = getattr(module, name)
        monkeypatch.setattr(module, name, lambda make=make: CountedLock(make(), count))
    return count


def test_no_lock_on_the_way_of_a_task_that_succeeds(taken: Counter[int]) -> None:
    """None of ours when submitting; in the worker that of the metrics, once in a batch of tasks."""
    tasks = 4 * BATCH
    workers: list[int] = []
    with TaskManager(config()) as manager, held_up(manager) as let_go:
        manager.submit(lambda ctx, resource: workers.append(threading.get_ident()))
        taken.clear()
        futures = [manager.submit(nothing) for _ in range(tasks)]
        submitting = taken[threading.get_ident()]
        let_go()
        wait_until(futures[-1].done)
        working = taken[workers[0]]
    assert submitting == 0, f"{submitting} locks taken to submit {tasks} tasks, none before: {WHAT_TO_DO}"
    # and the three that belong to the hold-up: to leave its Event, and one look at the metrics' lock more or less
    assert working <= tasks / BATCH + 3, f"{working} locks taken to run {tasks} tasks: {WHAT_TO_DO}"


def test_a_lock_is_seen(taken: Counter[int]) -> None:
    """The count of the test above does count: a waiter's lock, an Event's, a Condition's."""
    me = threading.get_ident()
    with TaskManager(config()) as manager, held_up(manager) as let_go:
        future = manager.submit(nothing)
        taken.clear()
        threading.Timer(0.01, let_go).start()
        future.result(10)
        assert taken[me] > 0
    taken.clear()
    threading.Event().set()
    assert taken[me] > 0


# -- memory -----------------------------------------------------------------------------------------------------------

QUEUED = 2000


def bytes_of(submit: Callable[[], object]) -> float:
    """Allocated for each queued task."""
    for _ in range(100):
        submit()
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(QUEUED):
            submit()
        return tracemalloc.get_traced_memory()[0] / QUEUED
    finally:
        tracemalloc.stop()


def test_bytes_of_a_queued_task() -> None:
    """Less than half of what ThreadPoolExecutor needs for one."""
    with TaskManager(config()) as manager, held_up(manager):
        ours = bytes_of(lambda: manager.submit(nothing))
    door = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        executor.submit(door.wait, 60)
        theirs = bytes_of(lambda: executor.submit(nothing, None, None))
        door.set()
    assert ours < theirs / 2, f"{ours:.0f} bytes a queued task, ThreadPoolExecutor has {theirs:.0f}: {WHAT_TO_DO}"


def test_blocks_of_a_queued_task() -> None:
    """A queued task holds no more objects than it did."""
    with TaskManager(config()) as manager, held_up(manager):
        for _ in range(100):
            manager.submit(nothing)
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(QUEUED):
            manager.submit(nothing)
        blocks = (sys.getallocatedblocks() - before) / QUEUED
    assert blocks <= MOST_BLOCKS, f"{blocks:.2f} blocks a queued task, {MOST_BLOCKS:g} at most: {WHAT_TO_DO}"
