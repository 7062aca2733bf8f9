"""Resources and tasks that children import."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any, NoReturn

from support.files_between_processes import FileGate, Notes

user: contextvars.ContextVar[Any] = contextvars.ContextVar("user", default="nobody")


@dataclass
class Thing:
    """A resource that knows where it was made and writes down its life."""

    notes: Notes
    pid: int
    thread: int

    def end(self) -> None:
        """Write down the end."""
        assert self.pid == os.getpid()
        assert self.thread == threading.get_ident()
        self.notes.write("destroy", self.pid)


def make(notes: Notes) -> Thing:
    """Make a Thing and write that down."""
    notes.write("create", os.getpid())
    return Thing(notes, os.getpid(), threading.get_ident())


async def amake(notes: Notes) -> Thing:
    """`make` as a coroutine function."""
    await asyncio.sleep(0)
    return make(notes)


async def aend(thing: Thing) -> None:
    """`Thing.end` as a coroutine function."""
    await asyncio.sleep(0)
    thing.end()


def hang() -> NoReturn:
    """An on_create that does not return."""
    while True:
        time.sleep(60)


def pid(ctx: Any, thing: Any) -> int:
    """The process that the task runs in."""
    return os.getpid()


async def apid(ctx: Any, thing: Any) -> int:
    """`pid` as a coroutine function."""
    await asyncio.sleep(0)
    return os.getpid()


def echo(ctx: Any, thing: Any, value: Any = None) -> Any:
    """What it was given."""
    return value


def note(ctx: Any, thing: Thing, number: int) -> int:
    """Write down that it started."""
    thing.notes.write("start", number)
    return number


def hold(ctx: Any, thing: Any, door: FileGate, value: Any = None) -> Any:
    """Wait at the door, whatever the context says."""
    door.pass_through()
    return value


def obey(ctx: Any, thing: Any, door: FileGate) -> NoReturn:
    """Work until cancelled."""
    door.arrive()
    assert ctx.wait(60), "never cancelled"
    ctx.raise_if_cancelled()
    raise AssertionError("not cancelled after all")


async def aobey(ctx: Any, thing: Any, door: FileGate) -> NoReturn:
    """`obey` as a coroutine function."""
    door.arrive()
    assert await ctx.wait_async(60), "never cancelled"
    ctx.raise_if_cancelled()
    raise AssertionError("not cancelled after all")


def look(ctx: Any, thing: Any, *args: Any) -> Any:
    """The value of `user`."""
    return user.get()


def make_raise(ctx: Any, thing: Any, error: BaseException) -> NoReturn:
    """Raise what it was given."""
    raise error


# Ends of a process.


def die(how: str = "SIGKILL") -> Any:
    """End this process at once: by a signal, an exit code, or a crash."""
    sys.stdout.flush()
    if how == "segfault":
        ctypes.string_at(0)
    elif how.startswith("SIG"):
        os.kill(os.getpid(), getattr(signal, how))
        time.sleep(60)
    else:
        os._exit(int(how))


DEATHS = {"SIGKILL": "signal SIGKILL", "segfault": "signal SIGSEGV", "SIGABRT": "signal SIGABRT", "3": "exit code 3"}
"""How to die, and what WorkerLost says of it."""


def crash(ctx: Any, thing: Thing, how: str = "SIGKILL") -> Any:
    """Die in the task."""
    thing.notes.write("start", 0)
    return die(how)


async def acrash(ctx: Any, thing: Thing, how: str = "SIGKILL") -> Any:
    """`crash` as a coroutine function."""
    await asyncio.sleep(0)
    return crash(ctx, thing, how)


def crash_times(ctx: Any, thing: Thing, times: int, how: str = "SIGKILL") -> int:
    """Die in the first `times` starts; then the number of starts."""
    thing.notes.write("start", 0)
    starts = len(thing.notes.lines("start"))
    return die(how) if starts <= times else starts


def die_at(ctx: Any, thing: Thing, number: int, fatal: int) -> int:
    """Write down that it started; die if it is the fatal one."""
    thing.notes.write("start", number)
    return die() if number == fatal else number


class DiesOnTheWay:
    """Kills the process that pickles it, if that is not the one that made it known as home."""

    def __init__(self, home: int) -> None:
        self.home = home

    def __reduce__(self) -> Any:
        if os.getpid() != self.home:
            die()
        return DiesOnTheWay, (self.home,)


class DiesOnArrival:
    """Kills the process that unpickles it, if that is not its home."""

    def __init__(self, home: int) -> None:
        self.home = home

    def __setstate__(self, state: dict[str, Any]) -> None:
        if os.getpid() != state["home"]:
            die()
        self.__dict__.update(state)


def dying_result(ctx: Any, thing: Thing, home: int, size: int = 0) -> Any:
    """A result that kills the process while it is pickled."""
    thing.notes.write("start", 0)
    return [bytes(size), DiesOnTheWay(home)]


def close_everything(ctx: Any, thing: Any) -> str:
    """Close whatever the process has open, the way a careless daemonizer does."""
    os.closerange(3, 4096)
    return "closed"


def leave_a_grandchild(ctx: Any, thing: Thing) -> Any:
    """Fork a process that keeps every inherited descriptor open, then die."""
    grandchild = os.fork()
    if grandchild == 0:
        time.sleep(60)
        os._exit(0)
    thing.notes.write("grandchild", grandchild)
    return die()


# Deaf tasks.


def spin(ctx: Any, thing: Thing, door: FileGate) -> NoReturn:
    """A loop that never looks at its context."""
    thing.notes.write("start", 0)
    door.arrive()
    while True:
        pass


def sleep_long(ctx: Any, thing: Thing, door: FileGate) -> None:
    """A blocking call that gives the GIL away."""
    thing.notes.write("start", 0)
    door.arrive()
    time.sleep(1000)


def sleep_with_the_gil(ctx: Any, thing: Thing, door: FileGate) -> None:
    """A blocking call in C that keeps the GIL: no other thread of the child runs."""
    thing.notes.write("start", 0)
    door.arrive()
    ctypes.PyDLL(None).sleep(1000)


def shrug_off(ctx: Any, thing: Thing, door: FileGate) -> NoReturn:
    """Ignore SIGTERM and the context."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    spin(ctx, thing, door)


def swallow(ctx: Any, thing: Thing, door: FileGate) -> NoReturn:
    """Catch whatever is raised in it, and go on."""
    thing.notes.write("start", 0)
    door.arrive()
    while True:
        try:
            time.sleep(1000)
        except BaseException:
            pass


DEAF = [spin, sleep_long, sleep_with_the_gil, shrug_off, swallow]


# Things that travel badly.


@dataclass
class Point:
    """A plain value."""

    x: int
    y: int


class Loud(Exception):
    """An error with a constructor of its own, whose arguments are not what it was made from."""

    def __init__(self, volume: int, *, unit: str) -> None:
        super().__init__(f"{volume} {unit}")
        self.volume = volume
        self.unit = unit


class Careful(Loud):
    """The same, which tells how it is made again."""

    def __reduce__(self) -> Any:
        return _careful, (self.volume, self.unit)


def _careful(volume: int, unit: str) -> Careful:
    return Careful(volume, unit=unit)


class Clinging(Exception):
    """An error that holds something that can't be pickled."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()


class BadNews(Exception):
    """An error that can't be unpickled."""

    def __reduce__(self) -> Any:
        return _fail, ("BadNews",)


def _fail(what: str) -> NoReturn:
    raise ValueError(f"{what} can't be made again")


class WontGo:
    """Can't be pickled."""

    def __reduce__(self) -> Any:
        raise ValueError("WontGo stays where it is")


class WontArrive:
    """Can be pickled, and not be unpickled."""

    def __reduce__(self) -> Any:
        return _fail, ("WontArrive",)


def raise_loud(ctx: Any, thing: Any) -> NoReturn:
    """Raise an error that can't be rebuilt."""
    raise Loud(11, unit="bells")


def raise_kind(ctx: Any, thing: Any, kind: type[BaseException], *args: Any, **more: Any) -> NoReturn:
    """Raise an error that is made in the child."""
    raise kind(*args, **more)


def raise_chain(ctx: Any, thing: Any) -> NoReturn:
    """Raise an error with notes, from one with a cause of its own."""
    try:
        try:
            raise KeyError("root")
        except KeyError as root:
            raise OSError(2, "No such file", "/nowhere") from root
    except OSError as middle:
        middle.add_note("a note in the middle")
        error = ValueError("top", 7)
        error.add_note("first note")
        error.add_note("second note")
        raise error from middle


def result_of(ctx: Any, thing: Any, kind: str) -> Any:
    """A result that can't leave the child, or not arrive."""
    return {
        "lock": threading.Lock,
        "generator": lambda: (n for n in range(3)),
        "frame": sys._getframe,
        "WontGo": WontGo,
        "WontArrive": WontArrive,
        "deep": deep,
    }[kind]()


def deep() -> list[Any]:
    """A list in a list in a list, far deeper than pickle goes."""
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


# Output.


def say(ctx: Any, thing: Any, text: str, where: str = "stdout") -> None:
    """Write to standard output or standard error."""
    getattr(sys, where).write(text)


def hoard(ctx: Any, thing: Any, size: int) -> int:
    """Keep memory for good."""
    _hoard.append(bytearray(b"x") * size)
    return os.getpid()


_hoard: list[bytearray] = []


def burn(ctx: Any, thing: Any, seconds: float) -> int:
    """Use processor time."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    return os.getpid()


def until_cancelled(ctx: Any, thing: Any) -> NoReturn:
    """Wait until it is cancelled."""
    ctx.wait(60)
    ctx.raise_if_cancelled()
    raise AssertionError("not cancelled")
