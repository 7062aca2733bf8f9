"""Children and fork servers of whose end nobody is told."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

import pytest

from support.waiting import Call, wait_until
from tasker import WorkerLost
from tasker.process.parent import exiting, fork_server_client
from tasker.process.parent import session as parents_session

from . import work
from .conftest import FRESH, gone

FOREVER = 600.0


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parent that waits for a report waits longer than the test."""
    monkeypatch.setattr(parents_session, "_EXIT_PATIENCE", FOREVER)
    monkeypatch.setattr(fork_server_client, "_PATIENCE", FOREVER)


def become_another_program(ctx: Any, thing: Any) -> None:
    """Runs a program in place of the child."""
    os.execv(sys.executable, [sys.executable, "-c", f"import time; time.sleep({FOREVER})"])


def test_a_child_that_becomes_another_program(make: Any) -> None:
    """It is lost at once, and the program is ended."""
    with make(max_retries=0) as m:
        pid = m.queue_task(work.pid)
        assert isinstance(m.submit(become_another_program, once=True).exception(30), WorkerLost)
        gone(pid)
        assert m.queue_task(work.pid) != pid


async def test_the_same_in_a_loop(amake: Any) -> None:
    """There as well."""
    async with amake(max_retries=0) as m:
        pid = await m.queue_task(work.apid)
        future = m.submit(become_another_program, once=True)
        await asyncio.wait([future], timeout=30)
        assert isinstance(future.exception(), WorkerLost)
        gone(pid)


@pytest.mark.parametrize("pool", [0, 2])
def test_a_fork_server_that_was_stopped(make: Any, pool: int) -> None:
    """It does not hold up a kill, and is ended with the last manager."""
    m = make(process=FRESH, worker_count=2, resource_pool_size=pool)
    wait_until(lambda: m.stats().active_workers == 2, what="nothing is to be started any more")
    client = m._engine.backend._sessions._client
    server = client.pid
    assert not client.stopped
    os.kill(server, signal.SIGSTOP)
    wait_until(lambda: client.stopped, what="it is stopped")
    report = Call(m.kill, 20).outcome(15)
    assert (report.killed, report.abandoned) == (True, ())
    gone(server)


def test_what_is_known_of_a_process() -> None:
    """One that runs goes on; one that is gone, or of which nothing is known, may be exiting."""
    assert not exiting.is_exiting(os.getpid())
    assert exiting.is_exiting(0)
