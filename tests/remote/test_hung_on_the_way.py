"""What hangs in this process while tasks are on their way to a session or back: the other tasks do not depend on it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from support.resources import ScriptedResources
from support.toy_session import ToyBackend, ToySession
from support.waiting import Call, eventually, wait_until
from tasker import AsyncTaskManager, Config, TaskCancelled, TaskKilled, TaskManager
from tasker.remote.prefetch import Prefetch
from tasker.remote.window import InFlightWindow
from tasker.threads.future_log import Ending

AHEAD = 8
LATE = 30.0


@pytest.fixture(autouse=True)
def as_many_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many tasks are sent ahead, and stay there."""
    monkeypatch.setattr(Prefetch, "in_hand", lambda *_: AHEAD + 1)
    monkeypatch.setattr(InFlightWindow, "_silent", lambda *_: None)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Where callbacks hang."""
    gate = threading.Event()
    yield gate
    gate.set()


def config(asynchronous: bool = False) -> Config[Any]:
    """One worker."""
    resources = ScriptedResources()
    return Config(
        on_create=resources.acreate if asynchronous else resources.create,
        worker_count=1,
        max_worker_count=1,
        resource_pool_size=0,
        backend=ToyBackend(),
    )


def echo(ctx: Any, resource: Any, value: int) -> int:
    """What it was given."""
    return value


def hold(ctx: Any, resource: Any, door: threading.Event) -> None:
    """Wait at the door, whatever the context says."""
    door.wait(LATE)


class Crowd:
    """One task that runs over there, and others behind it."""

    def __init__(self, manager: Any, callback: Any = None) -> None:
        self.door = threading.Event()
        self.first = manager.submit(hold, self.door)
        (window,) = manager._engine.backend._windows()
        wait_until(lambda: window.in_hand == 1, what="it was sent")
        self.behind = [manager.submit(echo, n, callback=callback) for n in range(AHEAD)]
        manager._engine.soon(window._nudge)
        wait_until(lambda: window.in_hand == 1 + AHEAD, what="they were sent ahead")


@pytest.mark.parametrize("which", [0, AHEAD // 2, -1])
def test_the_callback_of_a_cancelled_task(gate: threading.Event, which: int) -> None:
    """It hangs in the thread that cancels, and the tasks that came back with it go on."""
    with TaskManager(config()) as m:
        m.queue_task(echo, 0)
        crowd = Crowd(m)
        victim = crowd.behind.pop(which)
        arrived = threading.Event()
        victim.add_done_callback(lambda _: (arrived.set(), gate.wait(LATE)))
        cancelling = Call(victim.cancel)
        assert arrived.wait(LATE)
        assert victim.cancelled()
        crowd.door.set()
        assert [future.result(LATE) for future in crowd.behind] == [n for n in range(AHEAD) if n != victim.id - 3]
        gate.set()
        assert cancelling.outcome(LATE) is True


@pytest.mark.parametrize("which", [0, AHEAD // 2, -1])
def test_a_callback_that_waits_for_a_task_that_comes_back_with_its_own(which: int) -> None:
    """Whichever of them are not wanted any more, all of them have ended before a callback is called."""
    with TaskManager(config()) as m:
        m.queue_task(echo, 0)
        crowd = Crowd(m)
        victims = crowd.behind[::2]
        seen: list[list[bool]] = []
        for victim in victims:
            victim.add_done_callback(lambda _: seen.append([future.done() for future in victims]))
        for victim in victims:  # as if all were cancelled at the same time
            victim._log.append(Ending(TaskCancelled(), cancelled=True))
        assert Call(victims[which // 2].cancel).outcome(LATE)
        crowd.door.set()
        assert seen == [[True] * len(victims)] * len(victims)


def test_the_callback_of_a_task_that_a_kill_drops(gate: threading.Event) -> None:
    """The others were dropped before, and have that outcome when ``kill`` returns."""
    m = TaskManager(config())
    m.queue_task(echo, 0)
    crowd = Crowd(m, lambda value, error: gate.wait(LATE))
    (window,) = m._engine.backend._windows()
    killing = Call(m.kill, 0.5)
    wait_until(lambda: m._engine.killed, what="it has begun")
    window._nudge()
    killing.outcome(LATE)
    tasks = (crowd.first, *crowd.behind)
    wait_until(lambda: all(future.done() for future in tasks), what="all have their outcome")  # see below
    assert all(isinstance(future._error, TaskKilled) for future in tasks)
    crowd.door.set()
    gate.set()
    wait_until(lambda: m.stats().done_tasks == m.stats().accepted_tasks, what="all are counted")


def test_sending_at_a_kill(gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pickling of an argument, say: what is in the same message has its outcome when ``kill`` returns."""
    m = TaskManager(config())
    m.queue_task(echo, 0)
    send, hung = ToySession.send, threading.Event()

    def hangs(self: ToySession, tasks: Any, alone: bool = False) -> Any:
        if len(tasks) > 1:
            hung.set()
            gate.wait(LATE)
        return send(self, tasks, alone)

    monkeypatch.setattr(ToySession, "send", hangs)
    door = threading.Event()
    first = m.submit(hold, door)
    futures = [m.submit(echo, n) for n in range(3 * AHEAD)]
    door.set()
    assert hung.wait(LATE)
    m.kill(0.5)
    # On a busy machine, it may return before the supervisor got there.
    wait_until(lambda: m.stats().abandoned_workers == 1, what="the worker is left behind")
    wait_until(lambda: all(future.done() for future in (first, *futures)), what="all have their outcome")
    assert all(isinstance(future._error, TaskKilled) for future in futures if future._error is not None)
    gate.set()
    wait_until(lambda: m.stats().done_tasks == m.stats().accepted_tasks, what="all are counted")
    assert (m.stats().queued_tasks, m.stats().running_tasks) == (0, 0)


def test_a_callback_in_a_loop_that_cancels_what_comes_back_with_its_own() -> None:
    """All are back before the callback is called, so that one is neither in flight nor running."""
    asyncio.run(cancel_in_a_callback())


async def cancel_in_a_callback() -> None:
    """The same, in the loop."""

    async def ahold(ctx: Any, resource: Any, door: threading.Event) -> None:
        while not door.is_set():
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)

    async def aecho(ctx: Any, resource: Any, value: int) -> int:
        return value

    m = await AsyncTaskManager(config(asynchronous=True))
    await m.queue_task(aecho, 0)
    door = threading.Event()
    m.submit(ahold, door)
    (window,) = m._engine.backend._windows()
    await eventually(lambda: window.in_hand == 1, what="it was sent")
    answers: list[bool] = []
    futures = [m.submit(aecho, n) for n in range(AHEAD - 1)]
    futures.append(m.submit(aecho, -1, callback=lambda value, error: answers.append(futures[0].cancel())))
    window._nudge()
    await eventually(lambda: window.in_hand == 1 + AHEAD, what="they were sent ahead")
    killing = asyncio.create_task(m.kill(LATE))
    await eventually(lambda: m._engine.killed, what="it has begun")
    window._nudge()
    await eventually(lambda: answers, what="the callback was called")
    door.set()
    await killing
    assert answers == [True]
    assert all(future.cancelled() for future in futures)
    assert m.stats().done_tasks == m.stats().accepted_tasks
