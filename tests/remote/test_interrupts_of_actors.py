"""What strikes a task in an actor strikes nothing else there, whenever it comes; needs no Ray."""

from __future__ import annotations

import threading

import pytest
from unit.interrupts import each_moment

pytest.importorskip("cloudpickle")

from tasker.ray.cell import Interrupted, Interrupts


def test_a_strike_at_each_moment_of_a_call() -> None:
    """It ends the task, or comes too late: then the value is there. After it this thread is struck no more, and no lock is left."""
    interrupts = Interrupts()
    striking: list[threading.Thread] = []

    def work() -> str:
        return "value"

    def strike() -> None:
        thread = threading.Thread(target=interrupts.strike, args=(7,))
        striking.append(thread)
        thread.start()
        thread.join(0.02)  # it waits where the struck thread has the lock

    outcomes = []
    for struck, value, error in each_moment(lambda: interrupts.allow(7, work), reenter=strike):
        assert interrupts._thread == 0, struck
        assert value == "value" or type(error) is Interrupted, (struck, error)
        outcomes.append(type(error))
        for thread in striking:
            thread.join(10)
            assert not thread.is_alive(), struck
    assert Interrupted in outcomes and type(None) in outcomes
