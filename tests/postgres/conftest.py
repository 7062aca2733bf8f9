"""The server of the session, and a proxy before it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support import coroutine_tests

TEST_LIMIT = 45.0


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine function, for TEST_LIMIT seconds at most."""
    return coroutine_tests.run(pyfuncitem, TEST_LIMIT)


@pytest.fixture(scope="session")
def database() -> Iterator[Any]:
    """A PostgreSQL server of the test session's own; as root, pgserver runs it as a user that it makes."""
    # Not below pytest's own folder: only its owner may enter that, and the server may run as another user.
    with tempfile.TemporaryDirectory(prefix="tasker-pg-") as folder, pytest.MonkeyPatch.context() as patch:
        lock = Path(folder, "lock")
        lock.mkdir(mode=0o700)
        patch.setenv("XDG_RUNTIME_DIR", str(lock))  # pgserver keeps its lock there; it looks when it is imported
        pgserver = pytest.importorskip("pgserver", reason="pgserver has no wheel for this Python or this machine")
        running = pgserver.get_server(Path(folder, "data"), cleanup_mode="delete")
        try:
            yield running
        finally:
            running.cleanup()


@pytest.fixture
def server(database: Any) -> str:
    """Where the server is."""
    return str(database.get_uri())


@pytest.fixture
def restart(database: Any) -> Callable[[], None]:
    """Restarts the server; returns when it accepts connections. Whatever was connected is cut off."""
    import pgserver  # the fixture `database` has found it

    def stop_and_start() -> None:
        pgserver.pg_ctl(["-w", "-m", "fast", "stop"], pgdata=database.pgdata, user=database.system_user)
        database.ensure_postgres_running()

    return stop_and_start


@pytest.fixture
def admin(server: str) -> Iterator[Any]:
    """A connection of the test's own, past the proxy, and an empty table `ledger`."""
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS ledger")
        connection.execute("CREATE TABLE ledger (entry integer PRIMARY KEY, times integer NOT NULL DEFAULT 1)")
        yield connection
