"""Ctrl-C in the main thread, at each moment of what it does with children: nothing of them is lost, and nothing hangs."""

from __future__ import annotations

import asyncio
import os
from itertools import count
from typing import Any

import pytest
from unit.interrupts import each_moment

from support.files_between_processes import Notes
from support.waiting import eventually, wait_until
from tasker import Priority
from tasker.aio.resource_keeper import _Keeper
from tasker.core.flag import Flag
from tasker.process.parent.connection import Connection
from tasker.process.parent.session import ProcessSession
from tasker.process.protocol.encoding import TaskEncoder
from tasker.remote.async_reader import AsyncReader
from tasker.remote.backend import SessionsBackend
from tasker.remote.errand import Errand
from tasker.remote.inline import InlineSession
from tasker.remote.prefetch import Prefetch
from tasker.remote.threads_backend import RemoteResource, ThreadsBackend
from tasker.remote.threads_window import ThreadsWindow
from tasker.remote.window import InFlightWindow
from tasker.threads.engine import Engine
from tasker.threads.future import TaskFuture
from tasker.threads.helpers import HelperThreads
from tasker.threads.owner import FutureOwner
from tasker.threads.queue import TaskQueue
from tasker.threads.resource_pool import ResourcePool
from tasker.threads.run_task import RunTask

from . import work


class Struck(BaseException):
    """Stands in for KeyboardInterrupt."""


MAKING = (
    ThreadsBackend.make,
    ThreadsBackend._make,
    ThreadsBackend.end,
    ThreadsBackend._end,
    Errand.__init__,
    Errand.outcome,
    Errand._run,
    HelperThreads.start,
    ResourcePool.acquire,
    ResourcePool._make,
    ResourcePool.release,
    RemoteResource.open,
    RemoteResource.run,
    RemoteResource.end,
    RemoteResource._await_outcome,
    InlineSession._outcome_in,
    InlineSession._ended,
    RunTask.run,
    RunTask._close,
)


@pytest.mark.parametrize("size", [0, 1], ids=["temporary", "pooled"])
def test_run_task(make: Any, notes: Notes, size: int) -> None:
    """Whatever moment is struck, its child ends or goes back to the pool, and the ledger is right."""
    with make(resource_pool_size=size, cancel_grace=20) as m:
        m.queue_task(work.pid)
        struck = []
        for where, value, error in each_moment(lambda: m.run_task(work.pid), *MAKING):
            if where is None:
                assert value not in (None, os.getpid())
                break
            struck.append(where)
            assert isinstance(error, KeyboardInterrupt), (where, error)
            wait_until(lambda: len(m._engine.backend._sessions._all()) == 1 + size, what=f"no more children: {where}")
            wait_until(lambda: m.stats().resources.alive == 1 + size, what=f"all are counted: {where}")
            wait_until(lambda: m._engine.pool.available == size, what=f"the pool is full: {where}")
        expected = {"RemoteResource.run"} if size else {"Errand.outcome", "ThreadsBackend.make", "RemoteResource.run"}
        assert expected <= {each.split(":")[0] for each in struck}
    ledger = m.stats().resources
    assert (ledger.alive, ledger.created) == (0, ledger.destroyed + ledger.lost)


@pytest.mark.parametrize("step", ["_frames", "_encode"])
def test_ctrl_c_while_a_task_is_sent(make: Any, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """It is raised, and not taken for an error of the arguments."""
    with make() as m:
        m.queue_task(work.pid)
        owner = ProcessSession if step == "_frames" else TaskEncoder
        monkeypatch.setattr(owner, step.replace("_encode", "encode"), strike)
        with pytest.raises(KeyboardInterrupt):
            m.run_task(work.pid)
        monkeypatch.undo()
        assert m.run_task(work.pid) not in (None, os.getpid())


def strike(*_: Any) -> None:
    """Ctrl-C."""
    raise KeyboardInterrupt


TAKING_BACK = (
    ThreadsBackend.recall,
    ThreadsBackend.overtake,
    ThreadsBackend._uninterrupted,
    SessionsBackend.recall,
    SessionsBackend.overtake,
    InFlightWindow.recall,
    InFlightWindow._withdraw,
    InFlightWindow.give_back,
    InFlightWindow._give_back,
    ThreadsWindow._unsend,
    ProcessSession.recall,
    Connection.revoke,
    TaskFuture.cancel,
    TaskFuture._goes_back,
    FutureOwner.follow_up,
    FutureOwner.recall,
    TaskQueue.put_back,
    Flag.wait,
    Engine.soon,
)


@pytest.mark.parametrize("how", ["cancel", "overtake", "shutdown"])
def test_what_was_sent_ahead(make: Any, notes: Notes, doors: Any, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Whatever moment is struck of what takes it back, each task runs once, or was cancelled."""
    monkeypatch.setattr(Prefetch, "in_hand", lambda self, *_: 9)
    monkeypatch.setattr(InFlightWindow, "_silent", lambda self: None)
    with make() as m:
        m.queue_task(work.pid)
        window = next(iter(m._engine.backend._windows()))
        numbers, rounds = count(), []

        def prepare() -> list[Any]:
            """One task that runs, others behind it in the child, and what is to be interrupted."""
            door, view = doors(), m.as_executor()
            running = m.submit(work.hold, door)
            door.wait_arrivals(1)
            futures = [view.submit(notes.write, "start", next(numbers)) for _ in range(8)]
            m._engine.soon(window._nudge)
            wait_until(lambda: window.in_hand > 1, what="they were sent ahead")
            return [door, running, futures, view]

        def strike() -> Any:
            *_, futures, view = rounds[-1]
            if how == "cancel":
                return futures[3].cancel()
            if how == "shutdown":
                return view.shutdown(wait=False, cancel_futures=True)
            return m.submit(work.note, next(numbers), priority=Priority.HIGH)

        rounds.append(prepare())
        struck = []
        for where, value, error in each_moment(strike, *TAKING_BACK):
            door, running, futures, _ = rounds[-1]
            door.open()
            running.result(30)
            for future in futures:
                wait_until(future.done, what=f"it has an outcome: {where}")
                if not future.cancelled():
                    future.result()
            if where is None:
                assert error is None
                assert how != "cancel" or value is True
                break
            struck.append(where)
            assert isinstance(error, KeyboardInterrupt), (where, error)
            rounds.append(prepare())
        assert any("_uninterrupted" in where or "Flag.wait" in where for where in struck)
    started = notes.numbers("start")
    assert len(started) == len({*started}), "none ran twice"


STEPS_IN_A_LOOP = [
    pytest.param(AsyncReader, "__init__", id="the child was just started"),
    pytest.param(InlineSession, "made", id="its resource was just made"),
    pytest.param(_Keeper, "_until_asked", id="its caller has just got it"),
]


@pytest.mark.parametrize(("owner", "step"), STEPS_IN_A_LOOP)
async def test_run_task_in_a_loop(amake: Any, monkeypatch: pytest.MonkeyPatch, owner: type, step: str) -> None:
    """If a step of the creation is struck, the child ends, and the ledger is right."""
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # the task that is struck has nobody who asks
    async with amake(cancel_grace=20) as m:
        await m.queue_task(work.apid)
        before = m.stats().resources
        real, struck = getattr(owner, step), []

        def strike(*args: Any) -> Any:
            if struck:
                return real(*args)
            struck.append(step)
            # Not a KeyboardInterrupt itself, which would end the loop of the test. Nothing else is raised there, either.
            raise Struck

        monkeypatch.setattr(owner, step, strike)
        call = asyncio.ensure_future(m.run_task(work.apid))
        await asyncio.wait([call], timeout=30)
        assert call.exception() is not None or step == "_until_asked"
        await eventually(lambda: len(m._engine.backend._sessions._all()) == 1)
        await eventually(lambda: m.stats().resources.alive == before.alive)
        assert await m.run_task(work.apid) not in (None, os.getpid())
        assert struck == [step]
