"""What stands in for a task with a time limit in an event loop: functions, coroutine functions, and what returns awaitables."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tasker.context import Context
from tasker.core.limited_calls import LimitedCall, given, loop_call
from tasker.core.limited_task import LateReturn, LimitContext, LimitedTask
from tasker.core.user_functions import is_async
from tasker.logs import task_name

from .fakes import FakeTask, ToyEngine


class Rig:
    """A task with a limit, and its stand-in."""

    def __init__(self, task: Callable[..., Any]) -> None:
        self.engine = ToyEngine()
        self.future = FakeTask()
        limited = self.engine.limits.of_submission(self.future, 1000.0, None)
        assert limited is not None
        self.limited: LimitedTask = limited
        self.call = loop_call(self.engine.limits, limited, task)

    def give_up(self) -> None:
        """The attempt that runs has exceeded its limit, and then its grace."""
        assert self.limited.cancel() is not None
        assert self.limited.give_up(lambda: None)


def plain(ctx: Context, resource: Any, *args: Any) -> Any:
    """Not a coroutine function."""
    return resource, args, ctx.deadline is not None


async def coroutine(ctx: Context, resource: Any, *args: Any) -> Any:
    """The same as one."""
    await asyncio.sleep(0)
    return plain(ctx, resource, *args)


def returning(ctx: Context, resource: Any, *args: Any) -> Any:
    """Not one, but returns what has to be awaited."""
    return coroutine(ctx, resource, *args)


async def finish(value: Any) -> Any:
    """What a worker makes of what a call returns."""
    return await value if asyncio.iscoroutine(value) else value


@pytest.mark.parametrize("task", [plain, coroutine, returning])
def test_in_time(task: Callable[..., Any]) -> None:
    """It is called as it is, with a context that knows the limit, and counts as a coroutine function if it is one."""
    rig = Rig(task)
    assert asyncio.run(finish(rig.call(Context(), "resource", 1, 2))) == ("resource", (1, 2), True)
    assert is_async(rig.call) is is_async(task)
    assert rig.limited.context is None


def test_what_was_given() -> None:
    """The task of a stand-in is found again; anything else is a task itself."""
    for task in (plain, coroutine, partial(plain)):
        assert given(Rig(task).call) is task
        assert given(task) is task
    assert given(LimitedCall(Rig(plain).engine.limits, Rig(plain).limited, plain)) is plain
    assert given(None) is None


def test_messages_name_the_task() -> None:
    """And not its stand-in."""
    for task in (plain, coroutine, partial(plain), partial(coroutine)):
        assert task_name(Rig(task).call) == task_name(task)


def test_one_that_was_given_up() -> None:
    """Whatever it returns or raises, the worker gets LateReturn, with the error as its cause."""
    rigs: list[Rig] = []

    async def late(ctx: Context, resource: Any, raises: Any) -> str:
        rigs[-1].give_up()
        if raises is not None:
            raise raises
        return "late"

    for raises in (None, OSError("closed")):
        for task in (late, lambda *args: late(*args)):
            rigs.append(Rig(task))
            with pytest.raises(LateReturn) as caught:
                asyncio.run(finish(rigs[-1].call(Context(), None, raises)))
            assert caught.value.__cause__ is raises


@pytest.mark.parametrize("kind", ["coroutine", "future"])
def test_what_a_function_returns_that_was_given_up(kind: str) -> None:
    """It is not begun, and a coroutine is closed."""
    loop = asyncio.new_event_loop()
    returned: list[Any] = []

    def late(ctx: Context, resource: Any) -> Any:
        rig.give_up()
        returned.append(coroutine(ctx, resource) if kind == "coroutine" else loop.create_future())
        return returned[0]

    rig = Rig(late)
    with pytest.raises(LateReturn):
        rig.call(Context(), None)
    if kind == "coroutine":
        assert returned[0].cr_frame is None
    loop.close()


def test_an_error_in_time() -> None:
    """It is the task's own."""

    async def fails(ctx: Context, resource: Any) -> None:
        raise OSError("closed")

    def fails_at_once(ctx: Context, resource: Any) -> None:
        raise OSError("closed")

    for task in (fails, fails_at_once):
        with pytest.raises(OSError, match="closed"):
            asyncio.run(finish(Rig(task).call(Context(), None)))


def test_a_loop_that_is_gone() -> None:
    """A coroutine that is closed with its loop ends with GeneratorExit, also one that was given up."""
    rig = Rig(coroutine)
    running = rig.call(Context(), None)
    running.send(None)
    rig.give_up()
    running.close()
    assert running.cr_frame is None


def test_a_late_one_is_not_called() -> None:
    """Neither function nor coroutine function."""
    for task in (plain, coroutine):
        rig = Rig(task)
        rig.future.queued_at = -1e9
        limited = rig.engine.limits.of_submission(rig.future, None, 1.0)
        assert limited is not None
        with pytest.raises(TimeoutError, match="has not started"):
            asyncio.run(finish(loop_call(rig.engine.limits, limited, task)(Context(), None)))


@pytest.mark.parametrize("passed", [False, True])
def test_a_task_that_cancels_its_context(passed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The context of the attempt is cancelled, which tells that the task has obeyed; not once the limit has passed."""

    def obey(ctx: Context, resource: Any) -> bool:
        ctx.cancel("no use")
        return ctx.cancelled

    monkeypatch.setattr(LimitContext, "_expired", lambda self: passed)
    rig, attempt = Rig(obey), Context()
    assert rig.call(attempt, None)
    assert attempt.cancelled is not passed
