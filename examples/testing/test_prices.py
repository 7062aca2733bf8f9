"""How an application is tested that uses tasker: failures on demand, an order that is known, nothing left behind.

    pip install tasker-pool pytest
    pytest examples/testing

pytest.ini switches on --tasker-leaks: a test that leaves a manager behind fails. The fixtures are those of the plugin.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from prices import Connection, ConnectionLost, config_for, import_prices, wait_for_supplier

from tasker import Config, TaskManager
from tasker.testing import FaultPlan, ManualClock, ScriptedResources, hangs, raises, takes

LINES = ["apple,120", "pear,95", "plum,60", "apple,110", "fig,no price"]


class FakeDatabase:
    """The database of the tests: a dict of prices, and a list of saves that find the connection closed."""

    def __init__(self) -> None:
        self.prices: dict[str, int] = {}
        self.saves = 0
        self.lost_at: set[int] = set()
        self.connections = ScriptedResources(make=lambda number: FakeConnection(self))

    def config(self) -> Config[Connection]:
        """The application's own configuration, with connections to this database."""
        config: Config[Connection] = config_for(self.connections.create)
        return config


class FakeConnection:
    def __init__(self, database: FakeDatabase) -> None:
        self._database = database

    def save(self, product: str, cents: int) -> None:
        with self._database.connections.using(self):  # fails if two tasks use it at the same time, or after its end
            self._database.saves += 1
            if self._database.saves in self._database.lost_at:
                raise ConnectionLost("the server was restarted")
            self._database.prices[product] = cents

    def close(self) -> None:
        self._database.connections.destroy(self)


@pytest.fixture
def database() -> Any:
    database = FakeDatabase()
    yield database
    database.connections.release()
    database.connections.check()  # each connection was closed, once


def test_the_import(database: FakeDatabase, inline_manager: Any) -> None:
    """Without threads: the tasks run when the import waits for them."""
    with inline_manager(database.config()) as manager:
        report = import_prices(manager, LINES)
    assert (report.imported, report.rejected) == (3, ("no price in 'fig,no price'",))
    assert database.prices == {"apple": 110, "pear": 95, "plum": 60}


@pytest.mark.parametrize("seed", range(20))
def test_the_order_does_not_matter(database: FakeDatabase, inline_manager: Any, seed: int) -> None:
    """Whichever worker comes first; a seed that fails can be tried again."""
    with inline_manager(database.config(), order=random.Random(seed).choice) as manager:
        import_prices(manager, LINES)
    assert database.prices == {"apple": 110, "pear": 95, "plum": 60}


def test_lost_connections(database: FakeDatabase, inline_manager: Any) -> None:
    """The second and the third save fail; each line is tried again on another connection."""
    database.lost_at = {2, 3}
    with inline_manager(database.config()) as manager:
        assert import_prices(manager, LINES).imported == 3
        assert manager.stats().replaced_workers == 2
    assert database.connections.created == 3


def test_a_database_that_is_down_for_a_while(database: FakeDatabase, inline_manager: Any) -> None:
    """The pauses between the tries pass on the manager's clock, and take no time."""
    database.connections.plan = FaultPlan().create(range(1, 12), raises(OSError("connection refused")))
    with inline_manager(database.config()) as manager:
        before = manager.clock.now()
        assert import_prices(manager, LINES).imported == 3
        assert manager.clock.now() > before + 1
    database.connections.check_plan()  # all seven failures have happened


def test_a_connection_that_hangs(database: FakeDatabase) -> None:
    """With threads: while one connection cannot be made, the other workers import the prices."""
    hang = hangs()
    database.connections.plan = FaultPlan().create(3, hang).every_create(takes(0.001))
    with TaskManager(database.config()) as manager:
        hang.wait_arrived()
        assert import_prices(manager, LINES).imported == 3
        hang.release()


def test_waiting_for_the_supplier(manual_clock: ManualClock) -> None:
    """Ten minutes pass at once."""
    ctx, before = manual_clock.context(), manual_clock.now()
    answers = iter([False, False, True])
    assert wait_for_supplier(ctx, lambda: next(answers))
    assert manual_clock.now() == before + 120
    assert not wait_for_supplier(ctx, lambda: False)
    assert manual_clock.now() == before + 720
