"""Context: cancellation, deadline, values."""

from __future__ import annotations

import time
from typing import Any

import pytest

from support.waiting import Call, wait_until
from tasker import Context, TaskCancelled, TaskKilled, TaskTimeout


def test_a_fresh_context_is_open() -> None:
    """It is not cancelled, has no deadline, no cause, and raises nothing."""
    ctx = Context()
    assert not ctx.cancelled
    assert ctx.deadline is None
    assert ctx.remaining() is None
    assert ctx.cause is None
    ctx.raise_if_cancelled()
    assert ctx.wait(0) is False


def test_cancel_is_final_and_keeps_the_first_cause() -> None:
    """After cancel(cause) it stays cancelled with that cause."""
    ctx, first = Context(), ValueError("first")
    ctx.cancel(first)
    ctx.cancel(ValueError("second"))
    assert ctx.cancelled
    assert ctx.cause is first


def test_cancel_wakes_waiters() -> None:
    """wait() without timeout returns True when another thread cancels."""
    ctx = Context()
    waiters = [Call(ctx.wait) for _ in range(3)]
    ctx.cancel()
    assert [waiter.outcome() for waiter in waiters] == [True] * 3


def test_wait_gives_false_when_its_time_is_up() -> None:
    """wait(timeout) is an interruptible sleep."""
    before = time.monotonic()
    assert Context().wait(0.05) is False
    assert time.monotonic() - before >= 0.049


def test_a_child_follows_its_parent_and_not_the_reverse() -> None:
    """Cancelling the parent cancels the child; cancelling the child leaves the parent alone."""
    parent = Context()
    one, other = parent.child(), parent.child()
    one.cancel()
    assert (parent.cancelled, other.cancelled) == (False, False)
    cause = ValueError("from above")
    parent.cancel(cause)
    assert other.cancelled
    assert other.cause is cause


def test_cancelling_the_parent_wakes_a_waiting_grandchild() -> None:
    """A wait deep in the tree ends when the root is cancelled."""
    root = Context()
    waiter = Call(root.child().with_value("a", 1).with_timeout(60).wait)
    root.cancel()
    assert waiter.outcome() is True


def test_a_child_of_a_cancelled_context_is_cancelled() -> None:
    """What is derived from a cancelled context is cancelled from the start."""
    parent = Context()
    parent.cancel()
    assert parent.child().cancelled
    assert parent.with_value("k", 1).cancelled


def test_a_passed_deadline_cancels() -> None:
    """Past its deadline a context is cancelled, and its wait returns True."""
    ctx = Context().with_timeout(0.05)
    assert ctx.wait(20) is True
    assert ctx.cancelled
    assert ctx.remaining() is not None
    assert (ctx.remaining() or 0) <= 0
    with pytest.raises(TaskTimeout):
        ctx.raise_if_cancelled()


def test_a_deadline_is_an_absolute_moment() -> None:
    """with_deadline(t) keeps t, remaining() returns the time that is left."""
    moment = time.monotonic() + 100
    ctx = Context().with_deadline(moment)
    assert ctx.deadline == moment
    assert 90 < (ctx.remaining() or 0) <= 100
    assert Context().with_deadline(time.monotonic() - 1).cancelled


def test_the_earlier_deadline_wins() -> None:
    """A child can shorten the deadline of its parent and not extend it."""
    parent = Context().with_timeout(100)
    assert parent.with_timeout(500).deadline == parent.deadline
    assert (parent.with_timeout(1).deadline or 0) < (parent.deadline or 0)
    assert parent.child().deadline == parent.deadline


def test_deriving_leaves_the_original_alone() -> None:
    """with_timeout and with_value return new contexts."""
    ctx = Context()
    ctx.with_timeout(0).with_value("k", 1)
    assert ctx.deadline is None
    assert ctx.value("k") is None


def test_values_are_inherited_and_shadowed() -> None:
    """value() looks up the tree, the nearest wins, else the default."""
    parent = Context().with_value("a", 1).with_value("b", 2)
    child = parent.child().with_value("b", 3)
    assert (child.value("a"), child.value("b"), parent.value("b")) == (1, 3, 2)
    assert child.value("c") is None
    assert child.value("c", 9) == 9


def test_raise_if_cancelled_names_its_cause() -> None:
    """It raises TaskCancelled from the cause."""
    ctx, cause = Context(), ValueError("why")
    ctx.cancel(cause)
    with pytest.raises(TaskCancelled) as caught:
        ctx.raise_if_cancelled()
    assert not isinstance(caught.value, TaskKilled)
    assert caught.value.__cause__ is cause


def test_raise_if_cancelled_without_a_cause() -> None:
    """A plain cancel raises TaskCancelled."""
    ctx = Context()
    ctx.cancel()
    with pytest.raises(TaskCancelled):
        ctx.raise_if_cancelled()


def test_raise_if_cancelled_under_kill() -> None:
    """With a TaskKilled as the cause it raises TaskKilled."""
    ctx = Context()
    ctx.cancel(TaskKilled("killed"))
    with pytest.raises(TaskKilled):
        ctx.child().raise_if_cancelled()


def test_on_cancel_calls_once() -> None:
    """A hook is called exactly once, however often the context is cancelled."""
    ctx = Context()
    calls: list[Any] = []
    ctx.on_cancel(lambda: calls.append(1))
    ctx.cancel()
    ctx.cancel()
    assert calls == [1]


def test_on_cancel_after_the_fact_calls_at_once() -> None:
    """A hook registered on a cancelled context is called."""
    ctx = Context()
    calls: list[Any] = []
    ctx.cancel()
    ctx.on_cancel(lambda: calls.append(1))
    assert calls == [1]


def test_on_cancel_can_be_unregistered() -> None:
    """What on_cancel returns takes the hook away; calling it again does no harm."""
    ctx = Context()
    calls: list[Any] = []
    unregister = ctx.on_cancel(lambda: calls.append("gone"))
    ctx.on_cancel(lambda: calls.append("kept"))
    unregister()
    unregister()
    ctx.cancel()
    assert calls == ["kept"]


def test_on_cancel_hears_of_the_parent() -> None:
    """A hook on a child is called when the parent is cancelled."""
    parent = Context()
    calls: list[Any] = []
    child = parent.child()
    child.on_cancel(lambda: calls.append(child.cancelled))
    parent.cancel()
    assert calls == [True]


def test_concurrent_cancels_call_hooks_once() -> None:
    """Hooks run once when many threads cancel at a time."""
    for _ in range(50):
        ctx = Context()
        calls: list[Any] = []
        ctx.on_cancel(lambda calls=calls: calls.append(1))  # type: ignore[misc]
        for call in [Call(ctx.cancel) for _ in range(4)]:
            call.outcome()
        assert calls == [1]


def test_children_do_not_pile_up() -> None:
    """A long-lived parent does not keep its dropped children alive."""
    import gc
    import weakref

    parent = Context()
    refs = [weakref.ref(parent.child().with_value("k", n)) for n in range(100)]
    gc.collect()
    wait_until(lambda: not any(ref() for ref in refs), 5, "children are gone")


def test_order_of_waking() -> None:
    """Waiters are woken first; then hooks are called, in the order of their registration."""
    root = Context()
    order: list[str] = []
    sleepers: list[Call] = []

    def first() -> None:
        assert sleepers[0].outcome() is True, "it was woken although it came later"
        order.append("first")

    root.on_cancel(first)
    sleepers.append(Call(root.child().wait, 60))
    wait_until(lambda: len(root._watchers) == 2)
    root.on_cancel(lambda: order.append("last"))
    Call(root.cancel).outcome()
    assert order == ["first", "last"]
