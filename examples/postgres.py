"""A pool of PostgreSQL connections that survives the loss of some of them.

Starts a real server (package `pgserver`), writes 300 entries into a ledger through four connections, and has the server
terminate connections under load. Their tasks are retried on new connections: no entry is lost.
Run it with: pip install pgserver 'psycopg[binary]' && python examples/postgres.py
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import psycopg

from tasker import Config, Context, TaskManager

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

ENTRIES = 300


def is_healthy(error: BaseException) -> bool:
    """Blames the connection if it was lost, and the task for a wrong statement."""
    return not isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))


def book(_ctx: Context, connection: Connection, entry: int) -> int:
    """Books one entry; returns the process id of the server process that did it.

    A task that may be retried must allow for a first attempt that succeeded: the connection can break after the commit.
    """
    with connection.transaction():
        connection.execute("INSERT INTO ledger (entry) VALUES (%s) ON CONFLICT DO NOTHING", (entry,))
        connection.execute("SELECT pg_sleep(0.002)")
    return connection.info.backend_pid


@contextmanager
def local_server() -> Iterator[str]:
    """Starts a PostgreSQL server in a temporary folder; yields its URI."""
    with tempfile.TemporaryDirectory(prefix="tasker-pg-") as folder:
        Path(folder, "lock").mkdir(mode=0o700)
        os.environ.setdefault("XDG_RUNTIME_DIR", str(Path(folder, "lock")))  # pgserver keeps its lock there
        import pgserver  # noqa: PLC0415 - reads the variable above on import

        server = pgserver.get_server(Path(folder, "data"), cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


def main() -> None:
    with local_server() as uri, psycopg.connect(uri, autocommit=True) as admin:
        admin.execute("CREATE TABLE ledger (entry integer PRIMARY KEY)")

        def connect() -> Connection:
            return psycopg.connect(uri, autocommit=True, application_name="pool")

        config = Config(
            on_create=connect,
            on_destroy=psycopg.Connection.close,
            check_health=is_healthy,
            worker_count=4,
            burst_interval=0,
        )
        with TaskManager(config) as manager:
            futures = [manager.submit(book, entry) for entry in range(ENTRIES)]
            for _ in range(3):
                time.sleep(0.05)
                killed = admin.execute(
                    "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'pool' AND state <> 'idle' LIMIT 1"
                ).fetchone()
                print("terminated a connection in use:", killed[0] if killed else "none was busy")
            pids = {future.result() for future in futures}
            stats = manager.stats()

        booked = admin.execute("SELECT count(*) FROM ledger").fetchone()
        print(f"{len(futures)} tasks done, entries in the ledger: {booked[0] if booked else 0}")
        print(f"tried more than once: {sum(future.attempts > 1 for future in futures)} tasks")
        print(f"connections that did the work: {len(pids)}, workers replaced: {stats.replaced_workers}")
        print("resources:", manager.stats().resources)
        print("connections still open on the server:", open_on_server(admin))


def open_on_server(admin: Connection) -> int:
    """Returns how many connections the pool has on the server, which needs a moment to forget a closed one."""
    left = 0
    for _ in range(50):
        row = admin.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pool'").fetchone()
        left = row[0] if row else 0
        if not left:
            break
        time.sleep(0.05)
    return left


if __name__ == "__main__":
    main()
