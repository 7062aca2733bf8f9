"""Pools of connections whose server is lost, slow, deaf or restarted, seen through a proxy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from postgres.drivers import LOCK, Asyncpg, Driver, Psycopg, psycopg
from postgres.proxy import Proxy
from support.waiting import eventually, in_thread
from tasker import ResourceError, RetryPolicy, TaskTimeout

OF_THE_POOL = "FROM pg_stat_activity WHERE application_name = 'pool'"


@pytest.fixture
def proxy(database: Any) -> Iterator[Proxy]:
    info = database.get_postmaster_info()
    made = Proxy(f"{info.socket_dir}/.s.PGSQL.5432")
    yield made
    made.close()


@pytest.fixture(params=[Psycopg, Asyncpg], ids=["psycopg", "asyncpg"])
def driver(request: pytest.FixtureRequest, proxy: Proxy) -> Any:
    return request.param(proxy.port)


@asynccontextmanager
async def managing(driver: Any, server: str, **options: Any) -> AsyncIterator[Any]:
    """A manager that, once it has ended, has destroyed all that it made and left no connection open on the server."""
    async with driver.manager(**options) as manager:
        yield manager
    ledger = manager.stats().resources
    assert (ledger.alive, ledger.lost) == (0, 0)
    assert ledger.created == ledger.destroyed
    with psycopg.connect(server, autocommit=True) as fresh:  # the server may have been restarted
        await eventually(lambda: count(fresh, f"SELECT count(*) {OF_THE_POOL}") == 0, what="no connection is left")


def count(connection: Any, query: str) -> int:
    (number,) = connection.execute(query).fetchone()
    return int(number)


async def waiting_for_the_lock(admin: Any, number: int, but: set[int]) -> set[int]:
    """Wait until so many tasks are in the middle of their first statement, on other connections than `but`; return theirs."""

    def waiting() -> set[int]:
        rows = admin.execute(f"SELECT pid {OF_THE_POOL} AND wait_event_type = 'Lock'").fetchall()
        return {pid for (pid,) in rows} - but

    await eventually(lambda: len(waiting()) == number, what=f"{number} tasks wait for the lock")
    return waiting()


async def all_ready(manager: Any, number: int) -> None:
    def ready() -> bool:
        stats = manager.stats()
        return bool(stats.active_workers == number and stats.starting_workers == 0)

    await eventually(ready, what=f"{number} workers are ready")


async def test_connections_dropped_while_idle_are_found_before_use(
    driver: Any, proxy: Proxy, admin: Any, server: str
) -> None:
    """`once` tasks could not be tried again: none of them meets a dead connection."""
    async with managing(driver, server, worker_count=3, check_resource=driver.probe, check_after_idle=0) as manager:
        await all_ready(manager, 3)
        assert proxy.drop() == 3
        futures = [await manager.submit(driver.book(), entry, once=True) for entry in range(12)]
        assert [await future.result() for future in futures] == list(range(12))
        assert [future.attempts for future in futures] == [1] * 12
        assert 1 <= manager.stats().failed_checks <= 3
        assert count(admin, "SELECT count(*) FROM ledger WHERE times = 1") == 12


async def test_without_a_check_an_idle_connection_that_was_dropped_costs_an_attempt(
    driver: Any, proxy: Proxy, admin: Any, server: str
) -> None:
    """What the check is for."""
    async with managing(driver, server, worker_count=1) as manager:
        await all_ready(manager, 1)
        assert proxy.drop() == 1
        future = await manager.submit(driver.book(), 1)
        assert (await future.result(), future.attempts) == (1, 2)


async def test_connections_dropped_in_the_middle_of_tasks_cost_these_an_attempt(
    driver: Any, proxy: Proxy, admin: Any, server: str
) -> None:
    async with managing(driver, server, worker_count=3, max_retries=5) as manager:
        admin.execute(f"SELECT pg_advisory_lock({LOCK})")
        futures = [await manager.submit(driver.book(), entry) for entry in range(20)]
        gone: set[int] = set()  # it takes the server a moment to see that these have no client any more
        for _ in range(2):
            gone |= await waiting_for_the_lock(admin, 3, gone)
            assert proxy.drop() == 3
        await waiting_for_the_lock(admin, 3, gone)
        admin.execute(f"SELECT pg_advisory_unlock({LOCK})")
        assert [await future.result() for future in futures] == list(range(20))
        assert sum(future.attempts - 1 for future in futures) == 6
        assert count(admin, "SELECT count(*) FROM ledger") == 20
        stats = manager.stats()
        assert (stats.accepted_tasks, stats.done_tasks, stats.replaced_workers) == (20, 20, 6)


async def test_a_server_that_is_down_costs_a_handful_of_tries_and_is_back_within_one_probe(
    driver: Any, proxy: Proxy, admin: Any, server: str
) -> None:
    checks = {"check_resource": driver.probe, "check_interval": 0.05}
    failing = {"when_unavailable": "fail", "creation_backoff": 0.05}
    async with managing(driver, server, worker_count=4, **checks, **failing) as manager:
        await all_ready(manager, 4)
        proxy.stop()
        proxy.drop()
        await eventually(lambda: manager.stats().active_workers == 0 and manager.stats().breaker != "closed")
        before, refused = driver.tries, 0
        until = time.monotonic() + 1.5
        while time.monotonic() < until or refused < 60:
            future = await manager.submit(driver.book(), refused)
            assert isinstance(await future.exception(), ResourceError)
            refused += 1
        # The pauses are 50 ms at first, at most, and double: about six tries in this time, and hardly ever twelve. Each task
        # was waited for before the next, so if they waited for probes, there would be no more of them than tries.
        assert driver.tries - before <= 20
        down = driver.tries
        created = manager.stats().resources.created
        proxy.start()
        await all_ready(manager, 4)
        stats = manager.stats()
        assert (stats.breaker, stats.resources.created - created) == ("closed", 4)
        assert driver.tries - down in (4, 5), "one that was under way may have failed; then the probe, then the others"
        assert await (await manager.submit(driver.book(), 1)).result() == 1


async def test_a_server_that_never_answers_holds_up_one_worker_only(
    driver: Any, proxy: Proxy, admin: Any, server: str
) -> None:
    proxy.deafen()
    options = {"worker_count": 1, "max_worker_count": 1, "create_timeout": 0.3}
    async with managing(driver, server, **options) as manager:
        future = await manager.submit(driver.book(), 1)
        await eventually(lambda: manager.stats().failing_creations >= 1, what="a creation has taken too long")
        assert not future.done()
        proxy.hear(present=False)
        assert await future.result() == 1
        assert future.attempts == 1
        # What cannot be interrupted stays, and ends once the server answers; a coroutine was cancelled.
        stuck = manager.stats().stuck_workers
        assert stuck >= 1 if isinstance(driver, Psycopg) else stuck == 0
        proxy.hear()
        await eventually(lambda: manager.stats().stuck_workers == 0, what="no worker is stuck")
        await eventually(lambda: manager.stats().resources.alive == 1, what="what came late is destroyed")


async def test_a_task_on_a_deaf_connection_ends_by_its_timeout(
    driver: Any, proxy: Proxy, admin: Any, server: str
) -> None:
    options = {"worker_count": 1, "max_worker_count": 1, "cancel_grace": 0.2}
    async with managing(driver, server, **options) as manager:
        await all_ready(manager, 1)
        proxy.deafen(new=False)
        future = await manager.submit(driver.book(), 1, timeout=0.3)
        assert isinstance(await future.exception(), TaskTimeout)
        other = await manager.submit(driver.book(), 2)
        assert (await other.result(), other.attempts) == (2, 1)
        proxy.hear()  # what the thread has waited for comes after all
        await eventually(lambda: manager.stats().stuck_workers == 0, what="no worker is stuck")
        await all_ready(manager, 1)
        assert await (await manager.submit(driver.book(), 3)).result() == 3
        assert manager.stats().timed_out_tasks == 1


async def test_tasks_wait_for_a_slow_server_as_long_as_ready_timeout(
    driver: Any, proxy: Proxy, admin: Any, server: str
) -> None:
    proxy.delay(0.5)
    async with managing(driver, server, worker_count=1, ready_timeout=0.2) as manager:
        early = await manager.submit(driver.book(), 1)
        assert isinstance(await early.exception(), ResourceError)
        assert manager.stats().resources.created == 0, "it did not wait for the connection"
        proxy.delay(0)
        await all_ready(manager, 1)
        assert await (await manager.submit(driver.book(), 2)).result() == 2
        assert driver.tries == 1, "the slow creation was not given up"


async def test_a_slow_server_gets_more_workers_and_no_more_than_allowed(
    driver: Any, proxy: Proxy, admin: Any, server: str
) -> None:
    options = {"worker_count": 1, "max_worker_count": 4, "burst_interval": 0.05, "target_wait": 0.05}
    async with managing(driver, server, **options) as manager:
        await all_ready(manager, 1)
        proxy.delay(0.01)
        futures = [await manager.submit(driver.book(), entry) for entry in range(100)]
        most = 0
        while not all(future.done() for future in futures):
            most = max(most, manager.stats().active_workers)
            await asyncio.sleep(0.005)
        assert [await future.result() for future in futures] == list(range(100))
        assert 2 <= most <= 4


def of_the_proxy(proxy: Proxy, restart: Callable[[], None]) -> Callable[[], None]:
    def stop_drop_start() -> None:
        proxy.stop()
        proxy.drop()
        time.sleep(0.3)  # the outage
        proxy.start()

    return stop_drop_start


def of_the_server(proxy: Proxy, restart: Callable[[], None]) -> Callable[[], None]:
    return restart


@pytest.mark.parametrize("kind", [of_the_proxy, of_the_server])
async def test_a_restart_under_load_fails_no_idempotent_task(
    driver: Driver, proxy: Proxy, admin: Any, server: str, restart: Any, kind: Any
) -> None:
    policy = RetryPolicy(max_retries=10, backoff=0.1)
    options = {"worker_count": 4, "retry": policy, "creation_backoff": 0.05}
    async with managing(driver, server, **options) as manager:
        await all_ready(manager, 4)
        futures = []
        outage = None
        for entry in range(200):
            futures.append(await manager.submit(driver.book(), entry))
            if entry == 60:
                outage = asyncio.create_task(in_thread(kind(proxy, restart)))
            await asyncio.sleep(0.008)  # the load
        assert outage is not None
        await outage
        assert [await future.result() for future in futures] == list(range(200))
        assert sum(future.attempts > 1 for future in futures) >= 1
        stats = manager.stats()
        assert (stats.accepted_tasks, stats.done_tasks) == (200, 200)
        await all_ready(manager, 4)
        ledger = manager.stats().resources
        assert ledger.created == ledger.destroyed + ledger.alive + ledger.lost
        assert (ledger.alive, ledger.lost) == (4, 0)
    with psycopg.connect(server, autocommit=True) as fresh:
        assert count(fresh, "SELECT count(*) FROM ledger") == 200
