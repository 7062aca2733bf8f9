"""A pool of psycopg connections to a real PostgreSQL that loses some of them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tasker import Config, Context, MaxRetriesExceeded, TaskManager

psycopg = pytest.importorskip("psycopg")

Connection: TypeAlias = "psycopg.Connection[Any]"
SOON = 10.0


@pytest.fixture
def pool(server: str, admin: Any) -> Iterator[Callable[..., TaskManager[Any]]]:
    """Makes managers whose workers own a connection; afterwards none of these is left open on the server."""
    managers: list[TaskManager[Any]] = []

    def connect() -> Any:
        return psycopg.connect(server, autocommit=True, application_name="pool")

    def make(**options: Any) -> TaskManager[Any]:
        defaults: dict[str, Any] = {
            "on_create": connect,
            "on_destroy": psycopg.Connection.close,
            "check_health": is_healthy,
            "worker_count": 4,
            "resource_pool_size": 0,
            "burst_interval": 0,
        }
        manager: TaskManager[Any] = TaskManager(Config(**{**defaults, **options}))
        managers.append(manager)
        return manager

    yield make
    for manager in managers:
        manager.kill(timeout=SOON)
        ledger = manager.stats().resources
        assert (ledger.alive, ledger.lost) == (0, 0)
        assert ledger.created == ledger.destroyed
    # A terminated or closed backend takes a moment to leave the server's own table.
    until(lambda: count(admin, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pool'") == 0)


def is_healthy(error: BaseException) -> bool:
    return not isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline, "not so in time"
        time.sleep(0.01)


def count(connection: Any, query: str) -> int:
    (number,) = connection.execute(query).fetchone()
    return int(number)


def backend(_ctx: Context, connection: Any) -> int:
    return int(connection.info.backend_pid)


def book(_ctx: Context, connection: Any, entry: int) -> int:
    connection.execute("SELECT pg_sleep(0.002)")
    connection.execute("INSERT INTO ledger (entry) VALUES (%s) ON CONFLICT DO NOTHING", (entry,))
    return entry


def terminate_busy(admin: Any) -> int:
    """Terminate one connection of the pool that runs a statement; return its process number."""
    query = (
        "WITH victim AS MATERIALIZED ("
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'pool' AND state = 'active' LIMIT 1)"
        " SELECT pid FROM victim WHERE pg_terminate_backend(pid)"
    )
    deadline = time.monotonic() + SOON
    while time.monotonic() < deadline:
        row = admin.execute(query).fetchone()
        if row:
            return int(row[0])
    raise AssertionError("no connection of the pool was busy")


def test_no_task_is_lost_when_a_connection_is_terminated_in_the_middle_of_a_load(pool: Any, admin: Any) -> None:
    manager = pool(max_retries=5)  # the same task may be struck each time
    futures = [manager.submit(book, entry) for entry in range(500)]
    victims = [terminate_busy(admin) for _ in range(5)]
    assert [future.result(timeout=SOON) for future in futures] == list(range(500))
    assert count(admin, "SELECT count(*) FROM ledger") == 500
    assert 1 <= sum(future.attempts > 1 for future in futures) <= len(victims)
    until(lambda: manager.stats().base_workers == 4)
    stats = manager.stats()
    assert 1 <= stats.replaced_workers <= len(victims)
    assert stats.accepted_tasks == stats.done_tasks == 500


def test_the_worker_of_a_terminated_connection_is_replaced_by_one_with_a_new_connection(pool: Any, admin: Any) -> None:
    manager = pool(worker_count=1)
    before = manager.queue_task(backend)
    admin.execute("SELECT pg_terminate_backend(%s)", (before,))
    until(lambda: count(admin, f"SELECT count(*) FROM pg_stat_activity WHERE pid = {before}") == 0)
    future = manager.submit(book, 1)
    assert future.result(timeout=SOON) == 1
    assert future.attempts == 2
    after = manager.queue_task(backend)
    assert after != before
    assert manager.stats().replaced_workers == 1


def test_a_wrong_statement_is_the_tasks_own_fault(pool: Any) -> None:
    manager = pool(worker_count=1)
    before = manager.queue_task(backend)

    def wrong(_ctx: Context, connection: Any) -> None:
        connection.execute("SELECT * FROM no_such_table")

    future = manager.submit(wrong)
    assert isinstance(future.exception(timeout=SOON), psycopg.errors.UndefinedTable)
    assert future.attempts == 1
    assert manager.queue_task(backend) == before


def test_a_task_that_kills_every_connection_it_meets_is_given_up(pool: Any) -> None:
    manager = pool(worker_count=2, max_retries=2)

    def hang_up(_ctx: Context, connection: Any) -> None:
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(MaxRetriesExceeded) as caught:
        manager.queue_task(hang_up)
    assert caught.value.attempts == 3
    assert isinstance(caught.value.__cause__, psycopg.OperationalError)
    assert manager.queue_task(book, 7) == 7


def test_a_once_task_on_a_terminated_connection_fails_with_its_own_error_and_ran_once(pool: Any) -> None:
    manager = pool(worker_count=1)
    starts: list[int] = []

    def hang_up(_ctx: Context, connection: Any) -> None:
        starts.append(connection.info.backend_pid)
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    future = manager.submit(hang_up, once=True)
    assert isinstance(future.exception(timeout=SOON), psycopg.OperationalError)
    assert len(starts) == 1
    assert manager.queue_task(backend) not in starts


def test_every_connection_terminated_at_once_while_idle_costs_no_task(pool: Any, admin: Any) -> None:
    """As when the server restarts. One task may meet every stale connection, so it needs as many retries."""
    manager = pool(worker_count=4, max_retries=4)
    until(lambda: manager.stats().base_workers == 4 and manager.stats().starting_workers == 0)
    until(lambda: count(admin, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pool'") == 4)
    admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pool'")
    assert list(manager.map(book, range(40))) == list(range(40))
    assert count(admin, "SELECT count(*) FROM ledger") == 40


def test_run_task_does_not_put_a_terminated_connection_back(pool: Any, admin: Any) -> None:
    manager = pool(resource_pool_size=1)
    before = manager.run_task(backend)
    admin.execute("SELECT pg_terminate_backend(%s)", (before,))
    until(lambda: count(admin, f"SELECT count(*) FROM pg_stat_activity WHERE pid = {before}") == 0)
    with pytest.raises(psycopg.OperationalError):
        manager.run_task(book, 1)
    assert manager.run_task(backend) != before
    assert manager.run_task(book, 1) == 1


def test_kill_can_cancel_a_statement_that_runs(pool: Any, admin: Any) -> None:
    """`Context.on_cancel` is the place to tell a driver to give up: the statement ends at once."""
    manager = pool(worker_count=1)
    started = threading.Event()

    def sleep(ctx: Context, connection: Any) -> str:
        unregister = ctx.on_cancel(connection.cancel)
        started.set()
        try:
            connection.execute("SELECT pg_sleep(60)")
        except psycopg.errors.QueryCanceled:
            return "cancelled"
        finally:
            unregister()
        return "slept"

    future = manager.submit(sleep)
    assert started.wait(SOON)
    until(lambda: count(admin, "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)%'") == 1)
    begun = time.monotonic()
    report = manager.kill(timeout=SOON)
    assert time.monotonic() - begun < SOON / 2
    assert future.result(timeout=SOON) == "cancelled"
    assert report.abandoned == ()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root needs another user")
def test_as_root_the_server_runs_as_another_user(server: str, admin: Any) -> None:
    (folder,) = admin.execute("SHOW data_directory").fetchone()
    assert Path(folder).stat().st_uid != 0
