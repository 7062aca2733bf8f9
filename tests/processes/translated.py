"""What the translated tests have children do. Imports little, because each new child imports it."""

from __future__ import annotations

import dataclasses
import gc
import multiprocessing
import os
import signal
import sys
import threading
from typing import Any, NoReturn

from support.files_between_processes import FileGate, Notes
from tasker import Config, ProcessBackend, TaskManager

from . import work
from .misbehaving import do


def square(ctx: Any, thing: Any, value: int) -> int:
    """A square."""
    return value * value


def square_but(ctx: Any, thing: Any, value: int, bad: int) -> int:
    """A square, unless it is the bad one."""
    if value == bad:
        raise ValueError(value)
    return value * value


class State:
    """What a worker keeps between its tasks, and reports in the end."""

    def __init__(self, notes: Notes, payload: int = 0) -> None:
        self.notes = notes
        self.seen = 0
        self.payload = "x" * payload
        notes.write("create", os.getpid())

    def end(self) -> None:
        """Report."""
        self.notes.write("destroy", os.getpid())
        self.notes.write("seen", self.seen, self.payload)


def count(ctx: Any, state: State, value: int) -> int:
    """Count in the worker's state."""
    state.seen += 1
    return os.getpid()


def fail_to_make() -> NoReturn:
    """An on_create that raises."""
    raise ValueError("no resource")


def fail_to_end(thing: Any) -> NoReturn:
    """An on_destroy that raises."""
    raise ValueError("no end")


def leave(ctx: Any, thing: Any, value: int) -> NoReturn:
    """Leave."""
    sys.exit()


def first_spins(ctx: Any, thing: work.Thing, value: int, door: FileGate) -> int:
    """The task with the value 0 never ends."""
    if value == 0:
        thing.notes.write("victim", os.getpid())
        while not door.is_open:
            pass
    return value * value


def slow_init(door: FileGate) -> object:
    """An on_create that waits at the door."""
    door.pass_through()
    return object()


def obey_deadline(ctx: Any, thing: Any, seconds: float) -> None:
    """A task with a time limit of its own."""
    limited = ctx.with_timeout(seconds)
    assert limited.wait(60)
    limited.raise_if_cancelled()


def slow_exit(door: FileGate, thing: Any) -> None:
    """An on_destroy that never ends."""
    door.arrive()
    threading.Event().wait()


def affinity(ctx: Any, thing: Any) -> list[int]:
    """The processors that it may run on."""
    return sorted(os.sched_getaffinity(0))


@dataclasses.dataclass(frozen=True)
class FrozenError(Exception):
    """Forbids assignment."""


def fail(ctx: Any, thing: Any, kind: type[BaseException], *args: Any) -> NoReturn:
    """Raise."""
    raise kind(*args)


def give_error(ctx: Any, thing: Any) -> BaseException:
    """Return an error."""
    return BaseException("boom")


def broken() -> NoReturn:
    """An on_create that leaves."""
    raise SystemExit("boom")


def add(first: int, second: int = 0) -> int:
    """What a process of a task does."""
    return first + second


def start_process(ctx: Any, thing: Any, queue_of: str) -> int:
    """Have a process of one's own do something."""
    context = multiprocessing.get_context(queue_of)
    process = context.Process(target=add, args=[1])
    process.start()
    process.join()
    return process.exitcode


def start_manager(ctx: Any, thing: Any) -> list[int]:
    """Have a manager of one's own do something."""
    config: Config[Any] = Config(on_create=object, worker_count=1, resource_pool_size=0, backend=ProcessBackend())
    with TaskManager(config) as inner:
        return [inner.queue_task(lambda ctx, thing, n: n + 1, n) for n in range(3)]


def call(ctx: Any, thing: Any, fn: Any, *args: Any) -> Any:
    """Call what came."""
    return fn(*args)


def leave_nothing(ctx: Any, thing: Any) -> NoReturn:
    """Stop in the middle: the other side of every pipe is still open."""
    os.kill(os.getpid(), signal.SIGSTOP)
    raise AssertionError


def fail_with_comment(ctx: Any, thing: Any) -> None:
    """Raise."""
    raise RuntimeError(123)  # a comment


class Sets:
    """Sets an event of a `multiprocessing.Manager` when it goes."""

    def __init__(self, event: Any) -> None:
        self.event = event

    def __del__(self) -> None:
        self.event.set()


class Nothing:
    def set(self) -> None:
        """Nothing."""


def put_and_hold(ctx: Any, thing: Any, notes: Notes, door: FileGate) -> None:
    """Write, wait, and write again."""
    notes.write("started")
    door.pass_through()
    notes.write("finished")


def crash_with(ctx: Any, thing: Any, data: str) -> Any:
    """Crash."""
    return do(ctx, thing, "crash")


def collect(ctx: Any, thing: Any) -> int:
    """Collect garbage."""
    return gc.collect()


def kill(ctx: Any, thing: Any, pid: int) -> None:
    """Kill a process, which may be gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def use_pool(ctx: Any, thing: Any) -> int:
    """Have a pool of `multiprocessing` do something."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        result = pool.apply(add, [1])
        pool.close()
        pool.join()
    return result
