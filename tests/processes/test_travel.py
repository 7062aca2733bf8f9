"""What goes to a child and comes back, and what the caller hears of what does not."""

from __future__ import annotations

import array
import datetime as dt
import decimal
import enum
import fractions
import functools
import hashlib
import math
import os
import pathlib
import pickle
import re
import socket
import subprocess
import threading
import traceback
from collections.abc import Callable
from typing import Any

import pytest

import tasker
from tasker import RemoteTraceback, TaskerError, TravelError
from tasker.process.protocol.encoding import TaskEncoder

from . import work

MEGABYTE = 1024 * 1024


class Colour(enum.Enum):
    """A plain enumeration."""

    RED = 1


def chain(error: BaseException | None) -> list[BaseException]:
    """An error and its causes."""
    found = []
    while error is not None:
        found.append(error)
        error = error.__cause__
    return found


def caught(manager: Any, task: Any, *args: Any) -> BaseException:
    """The error of a task."""
    error: BaseException = manager.submit(task, *args).exception(30)
    assert error is not None
    return error


VALUES = [
    None,
    True,
    7,
    2**200,
    1.5,
    math.inf,
    "text \N{SNOWMAN} \udc80",
    b"bytes",
    bytearray(b"array"),
    (1, (2, [3, {4: {5}}])),
    frozenset({1, 2}),
    range(5),
    slice(1, 2, 3),
    decimal.Decimal("1.10"),
    fractions.Fraction(1, 3),
    dt.datetime(2024, 2, 29, tzinfo=dt.UTC),
    pathlib.PurePosixPath("/tmp"),
    re.compile("a+"),
    array.array("d", [1.0, 2.0]),
    work.Point(1, 2),
    Colour.RED,
    int,
    work.Point,
    len,
    math.sin,
    work.echo,
    tasker.Priority.HIGH,
    NotImplemented,
    ...,
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_go_and_come_back(make: Any, value: Any) -> None:
    """What the standard library can pickle arrives as an equal value of the same type, both ways."""
    with make() as m:
        back = m.queue_task(work.echo, value)
    assert type(back) is type(value)
    assert back == value


def test_functions_of_every_kind(make: Any) -> None:
    """Lambdas, closures, partials, methods, callable objects and functions inside containers run in the child."""
    outer = 5

    def closure(ctx: Any, thing: Any, n: int) -> int:
        def inner() -> int:
            return n + outer

        return inner()

    class Local:
        """A class that the child can't import."""

        def __init__(self, base: int) -> None:
            self.base = base

        def method(self, ctx: Any, thing: Any, n: int) -> int:
            return self.base + n

        def __call__(self, ctx: Any, thing: Any, n: int) -> int:
            return self.base * n

    def recursive(ctx: Any, thing: Any, n: int) -> int:
        return n if n < 2 else recursive(ctx, thing, n - 1) + recursive(ctx, thing, n - 2)

    with make() as m:
        assert m.queue_task(lambda ctx, thing: os.getpid()) != os.getpid()
        assert m.queue_task(lambda ctx, thing, *args: sum(args), 1, 2, 3) == 6
        assert m.queue_task(closure, 1) == 6
        assert m.queue_task(functools.partial(closure, n=2)) == 7
        assert m.queue_task(Local(10).method, 1) == 11
        assert m.queue_task(Local(10), 3) == 30
        assert m.queue_task(recursive, 10) == 55
        assert m.queue_task(lambda ctx, thing, fns: [fn(4) for fn in fns], [lambda n: n + 1, lambda n: n * outer]) == [
            5,
            20,
        ]
        assert m.queue_task(lambda ctx, thing: lambda n: n + outer)(1) == 6


def test_a_local_class_is_the_same_class_when_it_comes_back(make: Any) -> None:
    """An instance of a class that only this process knows is an instance of it after the journey, and so is its error."""

    class Local:
        """Known here only."""

    class LocalError(Exception):
        """Known here only."""

    def failing(ctx: Any, thing: Any) -> None:
        raise LocalError("mine")

    with make() as m:
        assert isinstance(m.queue_task(work.echo, Local()), Local)
        assert isinstance(m.queue_task(lambda ctx, thing: Local()), Local)
        with pytest.raises(LocalError, match="mine"):
            m.queue_task(failing)


def test_a_closure_is_sent_as_it_is_now(make: Any) -> None:
    """What a closure refers to may change between two calls; the child sees the present state."""
    box = [1]

    def look(ctx: Any, thing: Any) -> list[int]:
        return box

    with make() as m:
        assert m.queue_task(look) == [1]
        box[0] = 2
        assert m.queue_task(look) == [2]
        box = [3]
        assert m.queue_task(look) == [3]


def test_arguments_are_copies(make: Any) -> None:
    """What the task does to an argument does not show here, nor in the next task."""
    given = [1]

    def spoil(ctx: Any, thing: Any, values: list[int]) -> list[int]:
        values.append(2)
        return values

    with make() as m:
        assert [m.queue_task(spoil, given) for _ in range(3)] == [[1, 2]] * 3
    assert given == [1]


def test_many_arguments(make: Any) -> None:
    """A task with thousands of arguments."""
    with make() as m:
        assert m.queue_task(lambda ctx, thing, *args: len(args), *range(5000)) == 5000


# What can't be pickled.


def unpicklable() -> list[Any]:
    """Arguments that can't leave this process, each with a word that tells what it is."""
    return [
        (threading.Lock(), "lock"),
        ((n for n in range(3)), "generator"),
        ([{"deep": (threading.Lock(),)}], "lock"),
        (work.WontGo(), "WontGo"),
    ]


@pytest.mark.parametrize("number", range(4))
def test_an_argument_that_cannot_go(make: Any, number: int) -> None:
    """The caller gets a TravelError that names the task and the thing; the worker lives."""
    value, word = unpicklable()[number]
    with make() as m:
        before = m.queue_task(work.pid)
        with pytest.raises(TravelError) as error:
            m.queue_task(work.echo, value)
        assert isinstance(error.value, TaskerError)
        assert "echo" in str(error.value)
        assert word in str(error.value)
        with pytest.raises(TravelError):
            m.run_task(work.echo, value)
        assert m.queue_task(work.pid) == before
        assert m.stats().resources.lost == 0


def test_a_task_that_cannot_go(make: Any) -> None:
    """A function that closes over something that can't be pickled is a TravelError too."""
    lock = threading.Lock()

    def locked(ctx: Any, thing: Any) -> bool:
        return lock.locked()

    with make() as m:
        before = m.queue_task(work.pid)
        with pytest.raises(TravelError) as error:
            m.queue_task(locked)
        assert "locked" in str(error.value)
        assert "lock" in str(error.value)
        assert m.queue_task(work.pid) == before


def test_a_socket_cannot_go(make: Any) -> None:
    """A live socket is refused, and stays usable."""
    one, other = socket.socketpair()
    with one, other, make() as m:
        with pytest.raises(TravelError, match="socket"):
            m.queue_task(work.echo, one)
        one.sendall(b"still")
        assert other.recv(5) == b"still"


@pytest.mark.parametrize(
    ("kind", "word"),
    [("lock", "lock"), ("generator", "generator"), ("frame", "frame"), ("WontGo", "WontGo"), ("deep", "")],
)
def test_a_result_that_cannot_come(make: Any, kind: str, word: str) -> None:
    """A result that can't be pickled is a TravelError that names the task and the thing; nothing is retried."""
    with make() as m:
        before = m.queue_task(work.pid)
        future = m.submit(work.result_of, kind)
        error = future.exception(30)
        assert isinstance(error, TravelError)
        assert "result_of" in str(error)
        assert word in str(error)
        assert future.attempts == 1
        with pytest.raises(TravelError):
            m.run_task(work.result_of, kind)
        assert m.queue_task(work.pid) == before


def test_a_result_that_cannot_arrive(make: Any) -> None:
    """A result that can't be unpickled here is a TravelError with the reason."""
    with make() as m:
        before = m.queue_task(work.pid)
        error = caught(m, work.result_of, "WontArrive")
        assert isinstance(error, TravelError)
        assert "result_of" in str(error)
        assert "WontArrive" in str(error)
        assert m.queue_task(work.pid) == before


def test_an_argument_that_cannot_arrive(make: Any) -> None:
    """An argument that can't be unpickled there is a TravelError with the reason; the task did not start."""
    with make() as m:
        before = m.queue_task(work.pid)
        error = caught(m, work.echo, work.WontArrive())
        assert isinstance(error, TravelError)
        assert "echo" in str(error)
        assert "WontArrive" in str(error)
        assert m.queue_task(work.pid) == before


def test_an_argument_that_cannot_go_among_many_that_can(make: Any, notes: Any) -> None:
    """Its neighbours in the queue are not touched."""
    with make(worker_count=2) as m:
        futures = [m.submit(work.echo, work.WontArrive() if n % 10 == 3 else n) for n in range(100)]
        for number, future in enumerate(futures):
            if number % 10 == 3:
                assert isinstance(future.exception(30), TravelError)
            else:
                assert future.result(30) == number
    assert len(notes.lines("create")) == 2


def test_an_on_create_that_cannot_go(make: Any) -> None:
    """Hooks that can't be pickled fail where the manager is made, or as the resource is: never silently."""
    lock = threading.Lock()
    with pytest.raises(TaskerError) as error, make(on_create=lambda: lock, ready_timeout=0.5) as m:
        m.queue_task(work.pid)
    assert any("lock" in str(one) for one in chain(error.value))


# Errors.


def test_an_error_keeps_what_it_has(make: Any) -> None:
    """Type, arguments, notes and the chain of causes, and at its end the traceback of the child as text."""
    with make() as m:
        error = caught(m, work.raise_chain)
    assert type(error) is ValueError
    assert error.args == ("top", 7)
    assert error.__notes__ == ["first note", "second note"]
    first, middle, root, last = chain(error)
    assert first is error
    assert type(middle) is FileNotFoundError
    assert isinstance(middle, OSError)
    assert (middle.errno, middle.filename) == (2, "/nowhere")
    assert middle.__notes__ == ["a note in the middle"]
    assert (type(root), root.args) == (KeyError, ("root",))
    assert isinstance(last, RemoteTraceback)


def test_the_traceback_of_the_child(make: Any) -> None:
    """It names file, line and function in the child, and is shown with the error."""
    with make() as m:
        error = caught(m, work.raise_chain)
    last = chain(error)[-1]
    assert isinstance(last, RemoteTraceback)
    for text in (str(last), "".join(traceback.format_exception(error))):
        assert "Traceback (most recent call last)" in text
        assert "raise_chain" in text
        assert "work.py" in text
        assert 'raise KeyError("root")' in text


ERRORS: list[tuple[type[BaseException], tuple[Any, ...]]] = [
    (ValueError, ()),
    (KeyError, ("key",)),
    (OSError, (13, "Permission denied", "/file")),
    (UnicodeDecodeError, ("utf-8", b"\xff", 0, 1, "invalid start byte")),
    (subprocess.CalledProcessError, (3, ["cmd"])),
    (SystemExit, (4,)),
    (KeyboardInterrupt, ("typed",)),
    (GeneratorExit, ("gen",)),
    (MemoryError, ("much",)),
    (RecursionError, ("deep",)),
    (tasker.TaskTimeout, ("late",)),
    (tasker.MaxRetriesExceeded, ("again",)),
    (tasker.PoisonTask, ("no more",)),
]


@pytest.mark.parametrize(("kind", "args"), ERRORS, ids=lambda value: value.__name__ if isinstance(value, type) else "")
def test_errors_of_many_types(make: Any, kind: type[BaseException], args: tuple[Any, ...]) -> None:
    """Each arrives as what it is, whoever made it; the worker lives."""
    with make() as m:
        before = m.queue_task(work.pid)
        made_there = caught(m, work.raise_kind, kind, *args)
        made_here = caught(m, work.make_raise, kind(*args))
        assert m.queue_task(work.pid) == before
    for error in (made_there, made_here):
        assert type(error) is type(kind(*args))
        assert error.args == kind(*args).args
        assert str(error) == str(kind(*args))


def test_a_poison_task_keeps_its_history(make: Any) -> None:
    """One that a manager in the child has ended arrives with the attempts and the note."""

    def inner(ctx: Any, thing: Any) -> None:
        def breaks(ctx: Any, resource: Any) -> None:
            raise ConnectionError("gone")

        config = tasker.Config(
            on_create=object, worker_count=1, check_health=lambda error: False, quarantine_after=2, name="inner"
        )
        with tasker.TaskManager(config) as manager:
            manager.queue_task(breaks)

    with make() as m:
        error = caught(m, inner)
    assert isinstance(error, tasker.PoisonTask)
    assert [one.verdict for one in error.attempts] == ["try again", "quarantined"]
    assert [str(one.error) for one in error.attempts] == ["gone", "gone"]
    assert error.__notes__[0].startswith("inner: earlier attempts of task #1 ")


def test_a_group_keeps_its_members(make: Any) -> None:
    """An ExceptionGroup arrives with what is in it."""

    def failing(ctx: Any, thing: Any) -> None:
        raise ExceptionGroup("several", [ValueError(1), ExceptionGroup("inner", [KeyError("k")])])

    with make() as m:
        error = caught(m, failing)
    assert isinstance(error, ExceptionGroup)
    assert error.message == "several"
    assert error.exceptions[0].args == (1,)
    assert isinstance(error.exceptions[1], ExceptionGroup)


def test_an_error_that_tells_how_it_is_made_again(make: Any) -> None:
    """Its own __reduce__ is honoured."""
    with make() as m:
        error = caught(m, work.make_raise, work.Careful(3, unit="dB"))
    assert isinstance(error, work.Careful)
    assert (error.volume, error.unit) == (3, "dB")


@pytest.mark.parametrize(
    ("task", "args", "says"),
    [
        (work.raise_loud, (), "11 bells"),
        (work.raise_kind, (work.Clinging, "to a lock"), "to a lock"),
        (work.raise_kind, (work.BadNews, "of a kind"), "of a kind"),
    ],
    ids=["constructor", "lock", "unpickling"],
)
def test_an_error_that_cannot_be_rebuilt(make: Any, task: Any, args: tuple[Any, ...], says: str) -> None:
    """It arrives as its likeness: type, arguments, traceback, without what can't travel; the worker lives, nothing is retried."""
    with make() as m:
        before = m.queue_task(work.pid)
        future = m.submit(task, *args)
        error = future.exception(30)
        assert type(error).__name__ in ("Loud", "Clinging", "BadNews")
        text = "".join(traceback.format_exception(error))
        assert says in str(error)
        assert task.__name__ in text
        assert "work.py" in text
        assert future.attempts == 1
        assert m.queue_task(work.pid) == before


def test_a_cause_that_cannot_be_rebuilt(make: Any) -> None:
    """The error itself arrives all the same, and the text of the cause is not lost."""

    def failing(ctx: Any, thing: Any) -> None:
        try:
            work.raise_loud(ctx, thing)
        except work.Loud as loud:
            raise LookupError("outer") from loud

    with make() as m:
        error = caught(m, failing)
    assert type(error) is LookupError
    assert "11 bells" in "".join(traceback.format_exception(error))


def test_check_health_gets_the_error_in_this_process(make: Any) -> None:
    """With its type, so that it can be judged by it; what it says counts."""
    seen: list[tuple[int, type]] = []

    def judge(error: BaseException) -> bool:
        seen.append((os.getpid(), type(error)))
        return not isinstance(error, work.Careful)

    with make(check_health=judge, max_retries=1) as m:
        assert isinstance(caught(m, work.raise_kind, ValueError), ValueError)
        sick = caught(m, work.make_raise, work.Careful(1, unit="x"))
        assert isinstance(sick, tasker.MaxRetriesExceeded)
        assert isinstance(sick.__cause__, work.Careful)
    assert seen == [(os.getpid(), ValueError), (os.getpid(), work.Careful), (os.getpid(), work.Careful)]


# Large ones.


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_a_hundred_megabytes(make: Any, kind: Callable[[bytes], Any]) -> None:
    """Large buffers arrive whole, there and back, as what they were."""
    block = os.urandom(MEGABYTE)
    value = kind(block * 100)

    def digest(ctx: Any, thing: Any, data: Any) -> tuple[str, str]:
        return type(data).__name__, hashlib.sha1(data, usedforsecurity=False).hexdigest()

    with make() as m:
        expected = (type(value).__name__, hashlib.sha1(value, usedforsecurity=False).hexdigest())
        assert m.queue_task(digest, value) == expected
        back = m.queue_task(work.echo, value)
        assert type(back) is type(value)
        assert back == value
        assert m.queue_task(work.pid) == m.queue_task(work.pid)


def test_large_ones_among_small_ones(make: Any) -> None:
    """Results and arguments larger than a pipe holds, mixed, on two workers, in both directions at once."""
    with make(worker_count=2) as m:
        sizes = [3, 5 * MEGABYTE, 70_000, 0, 65_536, 2 * MEGABYTE + 1] * 6
        futures = [m.submit(work.echo, bytes([n % 251]) * size) for n, size in enumerate(sizes)]
        for number, (size, future) in enumerate(zip(sizes, futures, strict=True)):
            assert future.result(60) == bytes([number % 251]) * size


def test_arrays(make: Any) -> None:
    """numpy arrays of every shape, order and kind arrive equal and writable."""
    numpy = pytest.importorskip("numpy")
    arrays = [
        numpy.arange(12.0).reshape(3, 4),
        numpy.asfortranarray(numpy.arange(12).reshape(3, 4)),
        numpy.arange(100)[::7],
        numpy.array(3.5),
        numpy.zeros((0, 5)),
        numpy.array(["a", None, {"k": 1}], dtype=object),
        numpy.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        numpy.arange(13_107_200, dtype="f8"),  # 100 MB
    ]
    with make() as m:
        for value in arrays:
            back = m.queue_task(work.echo, value)
            assert (back.dtype, back.shape) == (value.dtype, value.shape)
            assert (back == value).all()
            assert back.flags.writeable
        total = m.queue_task(lambda ctx, thing, data: float(data.sum()), arrays[-1])
        assert total == float(arrays[-1].sum())

        def double(ctx: Any, thing: Any, data: Any) -> Any:
            data *= 2  # in place, where it arrived
            return data

        assert (m.queue_task(double, arrays[0]) == arrays[0] * 2).all()
        assert arrays[0][0, 1] == 1.0


# Context variables and contexts.


def test_context_variables(make: Any) -> None:
    """A variable that is a module's global travels as it was at submit; what a task sets stays in that task."""

    def spoil(ctx: Any, thing: Any) -> Any:
        before = work.user.get()
        work.user.set("spoiled")
        return before

    with make() as m:
        work.user.set("ann")
        future = m.submit(work.look)
        work.user.set({"name": "bob", "rights": [1, 2]})
        assert future.result(30) == "ann"
        assert m.queue_task(work.look) == {"name": "bob", "rights": [1, 2]}
        work.user.set("cid")
        assert [m.queue_task(spoil) for _ in range(3)] == ["cid"] * 3
        assert m.run_task(spoil) == "cid"
        assert m.queue_task(work.look) == "cid"
    assert work.user.get() == "cid"


def test_a_context_variable_that_cannot_go_is_left_behind(make: Any) -> None:
    """The task runs, and sees the default."""
    work.user.set(threading.Lock())
    try:
        with make() as m:
            assert m.queue_task(work.look) == "nobody"
    finally:
        work.user.set("nobody")


def test_values_and_deadline_of_the_context(make: Any) -> None:
    """Values of Config.ctx are seen in the child."""
    parent = tasker.Context().with_value("tenant", "blue").with_value("lock", threading.Lock())

    def look(ctx: Any, thing: Any) -> Any:
        return ctx.value("tenant"), ctx.value("none", 7)

    with make(ctx=parent) as m:
        assert m.queue_task(look) == ("blue", 7)


def test_a_resource_never_travels(make: Any) -> None:
    """A resource that can't be pickled serves its tasks all the same."""
    with make(on_create=threading.Lock) as m:
        assert m.queue_task(lambda ctx, lock: lock.locked()) is False
        with pytest.raises(TravelError):
            m.queue_task(lambda ctx, lock: lock)
        assert m.queue_task(lambda ctx, lock: lock.locked()) is False


_NUMBERS = (n for n in range(3))


def test_a_lambda_with_a_global_that_cannot_go(make: Any) -> None:
    """It has no arguments and no closure, and is refused all the same, by the queue and by run_task; the workers live."""
    uses = eval("lambda ctx, thing: next(_NUMBERS)", {"_NUMBERS": _NUMBERS, "__name__": "__main__"})
    with make(resource_pool_size=1) as m:
        before = m.run_task(work.pid)
        with pytest.raises(TravelError, match="lambda"):
            m.run_task(uses)
        assert m.run_task(work.pid) == before
        with pytest.raises(TravelError, match="lambda"):
            m.queue_task(uses)


# What the user's own methods do on the way.


def exits() -> Any:
    """Makes nothing."""
    raise SystemExit(4)


class Exiting:
    """Ends the program when it is made again."""

    def __reduce__(self) -> Any:
        return exits, ()


class ExitingError(Exception):
    """Ends the program when it is pickled."""

    def __reduce__(self) -> Any:
        raise SystemExit(3)


class Mute:
    """Can't be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def raise_odd(ctx: Any, thing: Any, what: Any) -> None:
    """Raises an error with something odd about it."""
    error: Exception = ValueError("odd")
    if what == "pickling":
        error = ExitingError("odd")
    elif isinstance(what, int):
        first = error
        for number in range(what):
            first.__cause__ = first = ValueError(number)
    else:
        error.__notes__ = {"no notes": None, "a number": 5, "mute": [Mute(), "a note"]}[what]  # type: ignore[assignment]
    raise error


@pytest.mark.parametrize("what", ["pickling", "no notes", "a number", "mute", 250, 2000])
def test_odd_errors(make: Any, what: Any) -> None:
    """Notes that are none, a chain of thousands, a `__reduce__` that ends the program: the error comes, the child lives."""
    with make() as m:
        worker = m.queue_task(work.pid)
        error = caught(m, raise_odd, what)
        assert (type(error).__name__, error.args) == ("ExitingError" if what == "pickling" else "ValueError", ("odd",))
        assert m.queue_task(work.pid) == worker


def test_a_result_that_ends_the_program(make: Any) -> None:
    """It is a TravelError, and the worker lives."""
    with make() as m:
        worker = m.queue_task(work.pid)
        error = caught(m, lambda ctx, thing: Exiting())
        assert isinstance(error, TravelError)
        assert isinstance(error.__cause__, SystemExit)
        assert m.queue_task(work.pid) == worker


async def test_a_result_that_ends_the_loop(amake: Any) -> None:
    """It is a TravelError, and the loop goes on."""
    async with amake() as m:
        with pytest.raises(TravelError):
            await m.queue_task(lambda ctx, thing: Exiting())
        assert await m.queue_task(work.echo, 1) == 1


BY_VALUE = {
    "a list": "SEEN = []\ndef task(ctx, thing, n):\n SEEN.append(n)\n return len(SEEN)",
    "set": "total = 0\ndef task(ctx, thing, n):\n global total\n total += 1\n return total",
    "what it calls": "SEEN = []\ndef add(n):\n SEEN.append(n)\n return len(SEEN)\ndef task(ctx, thing, n): return add(n)",
    "inside": "SEEN = []\ndef task(ctx, thing, n): return (lambda: SEEN.append(n) or len(SEEN))()",
    "an attribute": "def task(ctx, thing, n): return thing and 1\ntask.seen = []",
    "a default": "def task(ctx, thing, n, seen=[]):\n seen.append(n)\n return len(seen)",
    "nothing": "import math\nONE = 1\ndef add(n): return ONE + add_(n)\ndef add_(n): return n - n\n"
    "class C: pass\ndef task(ctx, thing, n): return C and math.floor(add(n))",
}


def by_value(source: str) -> Any:
    """A function that goes by value, with the globals that it has."""
    variables: dict[str, Any] = {"__name__": "__main__"}
    exec(source, variables)
    return variables["task"]


@pytest.mark.parametrize("source", BY_VALUE.values(), ids=BY_VALUE)
def test_globals_of_a_function_that_goes_by_value(make: Any, source: str) -> None:
    """Each task gets them as they were when it was sent, whether it travels alone or with others."""
    with make() as m:
        task = by_value(source)
        m.queue_task(task, 0)
        assert {future.result(60) for future in [m.submit(task, n) for n in range(300)]} == {1}


def test_what_goes_together() -> None:
    """All that is importable, and of the others those that have nothing to share; looked at again for each message."""
    encoder = TaskEncoder(lambda future: future._args)
    together = {name: encoder._goes_together(by_value(source)) for name, source in BY_VALUE.items()}
    assert [name for name, goes in together.items() if goes] == ["nothing"]
    assert encoder._goes_together(work.pid)
    task = by_value("ONE = 1\ndef task(ctx, thing): return ONE")
    assert encoder._goes_together(task)
    task.__globals__["ONE"] = [1]
    encoder.new_message()
    assert encoder._known is None
    assert not encoder._goes_together(task)


def test_a_large_context_variable(make: Any) -> None:
    """It is carried, whatever its size, as all others."""
    token = work.user.set(Large(bytearray(MEGABYTE)))
    try:
        with make() as m:
            assert m.queue_task(lambda ctx, thing: len(work.user.get().content)) == MEGABYTE
    finally:
        work.user.reset(token)


class Large:
    """Travels beside the pickle, as an array does."""

    def __init__(self, content: Any) -> None:
        self.content = content

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Large, (pickle.PickleBuffer(self.content),)
