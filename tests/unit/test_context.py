"""Tests every method of Context, and every race between cancelling and watching, forced at the moment of an append."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.waiting import wait_until
from tasker.context import Context, RootContext, RunTaskRoot
from tasker.errors import TaskCancelled, TaskKilled, TaskTimeout
from tasker.watchers import Fired
from unit.futures import Thread
from unit.hooks import HookedList

PAST = -1e9
FUTURE = 1e9


def test_root() -> None:
    """A new context is live: no cause, no deadline, no value."""
    ctx = Context()
    assert (ctx.cancelled, ctx.cause, ctx.deadline, ctx.remaining()) == (False, None, None, None)
    assert ctx.value("key") is None
    ctx.raise_if_cancelled()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "cancelled"),
        ("enough", "enough"),
        (ValueError("why"), "why"),
    ],
)
def test_cancel(given: Any, message: str) -> None:
    """cancel() keeps an exception as the cause, and makes one from a text or without an argument."""
    ctx = Context()
    ctx.cancel(given)
    assert ctx.cancelled
    assert str(ctx.cause) == message
    assert ctx.cause is given or isinstance(ctx.cause, TaskCancelled)
    assert ctx.cause is given or not isinstance(given, BaseException)
    with pytest.raises(TaskCancelled, match=message) as caught:
        ctx.raise_if_cancelled()
    assert caught.value.__cause__ is ctx.cause


def test_first_cause_stays() -> None:
    """A second cancel() changes nothing."""
    ctx = Context()
    ctx.cancel("first")
    ctx.cancel("second")
    assert str(ctx.cause) == "first"


def test_descendants() -> None:
    """Cancellation goes down the tree, not up; the nearest cause counts."""
    root = Context()
    child = root.child()
    grandchild, sibling = child.with_value("k", 1), root.child()
    child.cancel("child")
    assert [ctx.cancelled for ctx in (root, child, grandchild, sibling)] == [
        False,
        True,
        True,
        False,
    ]
    root.cancel("root")
    assert (str(grandchild.cause), str(sibling.cause)) == ("child", "root")
    assert Context(root).cancelled


def test_deadline() -> None:
    """A context past its deadline counts as cancelled, with a TaskTimeout."""
    ctx = Context().with_deadline(PAST)
    assert (ctx.cancelled, ctx.remaining(), ctx.deadline) == (True, 0.0, PAST)
    assert isinstance(ctx.cause, TaskTimeout)
    with pytest.raises(TaskTimeout):
        ctx.raise_if_cancelled()
    assert ctx.child().cancelled


def test_deadline_ahead() -> None:
    """A context whose deadline has not passed is live and returns the remaining time."""
    ctx = Context().with_deadline(monotonic() + 1000.0)
    assert not ctx.cancelled
    remaining = ctx.remaining()
    assert remaining is not None
    assert 0 < remaining <= 1000.0


@pytest.mark.parametrize(("outer", "inner", "earliest"), [(1.0, 2.0, 1.0), (2.0, 1.0, 1.0)])
def test_earliest_deadline(outer: float, inner: float, earliest: float) -> None:
    """Of nested deadlines the earliest counts."""
    assert Context().with_deadline(outer).child().with_deadline(inner).deadline == earliest


def test_with_timeout() -> None:
    """with_timeout(s) sets the deadline s seconds from now."""
    before = monotonic()
    deadline = Context().with_timeout(5).deadline
    assert deadline is not None
    assert before + 5 <= deadline <= monotonic() + 5
    assert Context().with_timeout(0).cancelled


@pytest.mark.parametrize("bad", [None, "1", True, float("nan")])
def test_bad_seconds(bad: Any) -> None:
    """A value that is not a number of seconds raises an error that names the argument."""
    with pytest.raises(ValueError, match=r"timeout must be .*got"):
        Context().with_timeout(bad)
    with pytest.raises(ValueError, match=r"deadline must be .*got"):
        Context().with_deadline(bad)


def test_values() -> None:
    """A value is found in the context and its descendants, the nearest one first; None is a value."""
    ctx = Context().with_value("a", 1).with_value("b", None)
    inner = ctx.child().with_value("a", 2)
    assert (ctx.value("a"), inner.value("a"), inner.value("b", 3)) == (1, 2, None)
    assert (inner.value("c"), inner.value("c", 3)) == (None, 3)
    with pytest.raises(TypeError):
        ctx.with_value([], 1)


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (TaskKilled("bye"), TaskKilled),
        (TaskTimeout("late"), TaskTimeout),
    ],
)
def test_raises_the_kind_of_its_cause(cause: BaseException, kind: type[BaseException]) -> None:
    """raise_if_cancelled() raises TaskKilled under a kill and TaskTimeout for a
    time limit, from the cause."""
    ctx = Context()
    ctx.cancel(cause)
    with pytest.raises(kind, match=str(cause)) as caught:
        ctx.child().raise_if_cancelled()
    assert type(caught.value) is kind
    assert caught.value.__cause__ is cause


def test_root_context_of_a_manager() -> None:
    """Tasks see the values of Config.ctx, and neither its cancellation nor its deadline."""
    parent = Context().with_value("a", 1).with_deadline(PAST)
    root = RootContext(parent)
    assert (root.value("a"), root.value("b", 2), root.cancelled, root.deadline) == (
        1,
        2,
        False,
        None,
    )
    assert RootContext(None).value("a") is None
    child = root.child()
    root.cancel(TaskKilled("bye"))
    assert child.cancelled


def test_repr() -> None:
    """A context shows its state."""
    ctx = Context()
    assert repr(ctx) == "<Context live>"
    ctx.cancel("enough")
    assert repr(ctx) == "<Context cancelled: enough>"
    late = Context().with_deadline(PAST)
    assert repr(late) == "<DeadlineContext cancelled: the deadline has passed>"


# -- waiting and watching -------------------------------------------------------------------------


def test_wait_gives_up() -> None:
    """wait() returns False after its timeout, and leaves nothing behind."""
    ctx = Context()
    child = ctx.child()
    assert child.wait(0) is False
    assert child.wait(-1) is False
    assert ctx._watchers == child._watchers == []


def test_wait_on_what_is_cancelled() -> None:
    """wait() returns True at once if the context is cancelled or past its deadline."""
    ctx = Context()
    ctx.cancel()
    assert ctx.wait() is True
    assert Context().with_deadline(PAST).wait() is True


def test_wait_until_the_deadline() -> None:
    """wait() without a timeout ends at the deadline."""
    assert Context().with_timeout(0.001).wait() is True


@pytest.mark.parametrize("depth", [0, 2])
def test_wait_is_cut_short(depth: int) -> None:
    """A cancellation of the context or an ancestor ends a wait."""
    top = ctx = Context()
    for _ in range(depth):
        ctx = ctx.child()
    lined_up = threading.Event()
    top._watchers = HookedList(after=lined_up.set)
    waiter = Thread(ctx.wait)
    assert lined_up.wait(20)
    top.cancel()
    assert waiter.join() is True


def test_on_cancel() -> None:
    """A callback is called once, in the cancelling thread; at once if the context is cancelled already."""
    ctx, calls = Context(), []
    ctx.on_cancel(lambda: calls.append(threading.get_ident()))
    ctx.cancel()
    ctx.cancel()
    assert calls == [threading.get_ident()]
    ctx.child().on_cancel(lambda: calls.append(0))
    assert calls[1:] == [0]


def test_on_cancel_taken_back() -> None:
    """A callback that was removed is not called; removing it twice does no harm."""
    ctx = Context()
    child, calls = ctx.child(), []
    forget = child.on_cancel(lambda: calls.append(1))
    forget()
    forget()
    child.cancel()
    ctx.cancel()
    assert calls == []


class TakenOutMeanwhile(list[Any]):
    """A log of watchers out of which another thread takes each watcher just before this one does."""

    def remove(self, entry: Any) -> None:
        """Finds that the entry is gone."""
        super().remove(entry)
        super().remove(entry)


@pytest.mark.parametrize("how", ["forget", "release"])
def test_two_threads_that_take_out_a_watcher(how: str) -> None:
    """It is gone, and none of them fails."""
    root = RunTaskRoot(None)
    child = root.child()
    root._watchers = TakenOutMeanwhile()
    forget = child.on_cancel(lambda: None)
    if how == "forget":
        forget()
    else:
        root.release(child)
    assert root._watchers == []


def test_on_cancel_of_two_ancestors() -> None:
    """A callback is called once, however many of its ancestors are cancelled."""
    root = Context()
    child, calls = root.child(), []
    child.on_cancel(lambda: calls.append(1))
    root.cancel()
    child.cancel()
    assert calls == [1]


def test_on_cancel_is_not_called_at_a_deadline() -> None:
    """A deadline that passes calls no callback."""
    calls: list[int] = []
    Context().with_deadline(PAST).on_cancel(lambda: calls.append(1))
    assert calls == []


def test_callbacks_that_raise() -> None:
    """All callbacks are called even if some raise; cancel() raises the first error."""
    ctx, calls = Context(), []

    def broken(error: BaseException) -> Callable[[], None]:
        def fn() -> None:
            calls.append(error)
            raise error

        return fn

    first, second = ValueError("first"), KeyboardInterrupt()
    for error in (first, second):
        ctx.on_cancel(broken(error))
    ctx.on_cancel(lambda: calls.append(None))
    with pytest.raises(ValueError, match="first"):
        ctx.cancel()
    assert calls == [first, second, None]
    assert ctx.cancelled


def is_fired(entry: object) -> bool:
    """Returns whether an entry of the log is the cancellation."""
    return isinstance(entry, Fired)


# -- races ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("depth", [0, 1])
def test_cancel_at_the_registration(moment: str, depth: int) -> None:
    """A callback that is registered while its context or an ancestor is cancelled is called once, by either side."""
    top = Context()
    ctx = top.child() if depth else top
    top._watchers = HookedList(**{moment: top.cancel})
    calls: list[int] = []
    ctx.on_cancel(lambda: calls.append(1))
    assert calls == [1]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_registration_at_the_cancel(moment: str) -> None:
    """A callback that is registered while cancel() runs is called once."""
    ctx, calls = Context(), []

    def register() -> None:
        ctx.on_cancel(lambda: calls.append(ctx.cancelled))

    ctx._watchers = HookedList(when=is_fired, **{moment: register})
    ctx.cancel("why")
    assert calls == [True]
    assert str(ctx.cause) == "why"


@pytest.mark.parametrize("moment", ["before", "after"])
def test_cancel_between_the_look_and_the_wait(moment: str) -> None:
    """A cancellation between the check of wait() and its sleep wakes it."""
    ctx = Context()
    ctx._watchers = HookedList(**{moment: lambda: ctx.cancel("now")})
    assert Thread(ctx.wait).join() is True


def test_two_cancels_at_once() -> None:
    """Of two cancellations the first in the log is the cause, and callbacks are called once."""
    for moment, cause in (("before", "other"), ("after", "mine")):
        ctx, calls = Context(), []
        ctx.on_cancel(lambda calls=calls: calls.append(1))
        hook = {moment: lambda ctx=ctx: ctx.cancel("other")}
        ctx._watchers = HookedList(ctx._watchers, when=is_fired, **hook)
        ctx.cancel("mine")
        assert (str(ctx.cause), calls) == (cause, [1])


def test_canceller_that_came_no_further() -> None:
    """A cancellation that is only in the log is noticed by the next registration or cancellation."""
    for notice in ("on_cancel", "cancel", "wait"):
        ctx, calls = Context(), []
        ctx._watchers.insert(0, Fired(ValueError("first")))
        if notice == "on_cancel":
            ctx.on_cancel(lambda calls=calls: calls.append(1))
            assert calls == [1]
        elif notice == "cancel":
            ctx.cancel("second")
        else:
            assert Thread(ctx.wait).join() is True
        assert str(ctx.cause) == "first"


def test_taken_back_while_cancelling() -> None:
    """A callback may remove itself and others while it is called."""
    ctx, calls = Context(), []
    forget: list[Callable[[], None]] = []

    def first() -> None:
        calls.append(1)
        for each in forget:
            each()

    forget.append(ctx.on_cancel(first))
    forget.append(ctx.on_cancel(lambda: calls.append(2)))
    ctx.cancel()
    assert calls == [1, 2]


STEPS = st.tuples(st.integers(0, 3), st.sampled_from(["cancel", "watch", "forget"]))


@given(st.lists(STEPS, max_size=30))
def test_everybody_is_called_once(steps: list[tuple[int, str]]) -> None:
    """In any order of steps in a line of contexts, a callback is called once if its context is cancelled, otherwise
    not."""
    line = [Context()]
    while len(line) < 4:
        line.append(line[-1].child())
    calls: list[int] = []
    alive: dict[int, tuple[int, Callable[[], None]]] = {}
    expected: list[int] = []
    for number, (depth, step) in enumerate(steps):
        if step == "watch":
            dead = line[depth].cancelled
            forget = line[depth].on_cancel(lambda number=number: calls.append(number))
            if dead:
                expected.append(number)
            else:
                alive[number] = (depth, forget)
        elif step == "forget" and alive:
            alive.pop(min(alive))[1]()
        elif step == "cancel":
            line[depth].cancel()
            hit = [n for n, (at, _) in alive.items() if at >= depth]
            expected += hit
            for n in hit:
                del alive[n]
        assert sorted(calls) == sorted(expected)


def test_a_managers_root_keeps_no_callbacks() -> None:
    """A callback of a task is registered in its own contexts only, and is called when its context is cancelled."""
    root, calls = RootContext(None), []
    ctx = Context(root)
    ctx.child().on_cancel(lambda: calls.append("child"))
    ctx.on_cancel(lambda: calls.append("task"))
    assert root._watchers == []
    root.cancel("over")
    assert calls == []
    ctx.cancel("over")
    assert calls == ["child", "task"]


def test_a_callback_after_the_roots_cancel_is_called_at_once() -> None:
    """A callback that a task registers after its manager was killed is called at once."""
    root, calls = RootContext(None), []
    root.cancel("over")
    Context(root).on_cancel(lambda: calls.append(1))
    assert calls == [1]


def test_a_sleeper_is_woken_by_the_root() -> None:
    """A wait on a task's context ends when the manager's root is cancelled, and leaves nothing there."""
    root = RootContext(None)
    ctx = Context(root)
    sleeper = Thread(ctx.wait)
    wait_until(lambda: root._watchers)
    root.cancel()
    assert sleeper.join() is True
    assert not [entry for entry in root._watchers if not isinstance(entry, Fired)]


def test_what_run_task_registered_is_released() -> None:
    """The root of run_task keeps only the callbacks of running tasks."""
    root, calls = RunTaskRoot(None), []
    ended, running = Context(root), Context(root)
    ended.on_cancel(lambda: calls.append("ended"))
    running.on_cancel(lambda: calls.append("running"))
    root.release(ended)
    root.cancel()
    assert calls == ["running"]


def test_many_callbacks_cost_the_same_each() -> None:
    """Registering a callback does not look at the others: the log is never copied."""
    ctx = Context()
    looks = 0

    class Counting(list[Any]):
        def __iter__(self) -> Any:
            nonlocal looks
            looks += 1
            return super().__iter__()

    ctx._watchers = Counting()
    for _ in range(100):
        ctx.on_cancel(lambda: None)
    assert looks == 0


@pytest.mark.parametrize(
    ("done", "total", "name"),
    [("1", None, "done"), (True, 2, "done"), (float("nan"), 2, "done"), (1, float("inf"), "total")],
)
def test_a_wrong_progress(done: Any, total: Any, name: str) -> None:
    """Is named."""
    with pytest.raises(ValueError, match=f"{name} must be a finite number, got"):
        Context().progress(done, total)
