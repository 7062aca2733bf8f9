"""An application that is tested in test_prices.py: it imports prices into a database, over a pool of connections.

    python prices.py prices.db < prices.csv

Each line is "product,cents". A connection that breaks is replaced, and its line is tried again on another one.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from tasker import Config, Context, TaskManager, TaskTimeout


class ConnectionLost(Exception):
    """The database has closed the connection."""


class Connection(Protocol):
    """What the import needs of a database."""

    def save(self, product: str, cents: int) -> None:
        """Sets the price of a product. Raises ``ConnectionLost``."""

    def close(self) -> None: ...


class SqliteConnection:
    """A connection to a file."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path)
        self._connection.execute("CREATE TABLE IF NOT EXISTS prices (product PRIMARY KEY, cents)")

    def save(self, product: str, cents: int) -> None:
        try:
            with self._connection:
                self._connection.execute("INSERT OR REPLACE INTO prices VALUES (?, ?)", (product, cents))
        except sqlite3.OperationalError as error:
            raise ConnectionLost(str(error)) from error

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True)
class Report:
    """What became of an import."""

    imported: int
    rejected: tuple[str, ...]
    """Why each line was rejected that was."""


def config_for(connect: Callable[[], Connection], workers: int = 4) -> Config[Connection]:
    """The pool of the application; its tests bring their own ``connect``."""
    return Config(
        on_create=connect,
        on_destroy=lambda connection: connection.close(),
        check_health=lambda error: not isinstance(error, ConnectionLost),
        worker_count=workers,
        max_retries=5,
        resource_pool_size=0,
    )


def save(ctx: Context, connection: Connection, line: str) -> None:
    """The task: imports one line."""
    product, _, cents = line.partition(",")
    if not cents.strip().isdigit():
        raise ValueError(f"no price in {line!r}")
    connection.save(product, int(cents))


def import_prices(manager: TaskManager[Connection], lines: Iterable[str]) -> Report:
    """Imports all lines, at the same time. Of several prices of a product, the last one counts."""
    latest = {line.partition(",")[0]: line for line in lines}
    rejected = []
    futures = [manager.submit(save, line) for line in latest.values()]
    for future in futures:
        try:
            future.result()
        except ValueError as error:
            rejected.append(str(error))
    return Report(imported=len(futures) - len(rejected), rejected=tuple(rejected))


def wait_for_supplier(ctx: Context, has_prices: Callable[[], bool], limit: float = 600.0) -> bool:
    """Looks every minute whether the supplier has new prices, for ``limit`` seconds. Returns whether it has."""
    limited = ctx.with_timeout(limit)
    try:
        while not has_prices():
            limited.wait(60)
            limited.raise_if_cancelled()
    except TaskTimeout:
        return False
    return True


def main() -> None:
    path = sys.argv[1]
    with TaskManager(config_for(lambda: SqliteConnection(path))) as manager:
        report = import_prices(manager, (line.strip() for line in sys.stdin))
    print(f"{report.imported} prices imported")
    for reason in report.rejected:
        print(f"rejected: {reason}")


if __name__ == "__main__":
    main()
