"""Whether a wait can ever end."""

from __future__ import annotations

from typing import Any

import pytest

from tasker.control.deadlock import Need, Outlook, Staff, WaitJudge, stuck_among

FINE, NEEDS_WORKER, DEADLOCK = Outlook.FINE, Outlook.NEEDS_WORKER, Outlook.DEADLOCK
Judge = WaitJudge[str, str]


def staff(ready: int, **fields: Any) -> Staff:
    """A pool of so many ready workers that cannot grow, unless the fields say otherwise."""
    return Staff(**{"ready": ready, "starting": 0, "retiring": 0, "target": ready, "may_grow": False, **fields})


def waits(**needs: str) -> dict[str, Need[str]]:
    """Each worker waits for one task."""
    return {worker: Need((task,)) for worker, task in needs.items()}


def test_no_wait_is_fine() -> None:
    """Without a wait there is nothing to judge."""
    assert Judge().judge({}, {}, staff(0), 0.0) is FINE


def test_a_worker_is_left() -> None:
    """While a ready worker does not wait, a wait is fine."""
    assert Judge().judge(waits(a="x"), {}, staff(2), 0.0) is FINE


def test_every_worker_waits() -> None:
    """When every worker that there can be waits, the waits would last for ever, and are listed in their order."""
    judge = Judge()
    assert judge.judge(waits(a="x", b="y"), {}, staff(2), 0.0) is DEADLOCK
    assert judge.stuck == ["a", "b"]


def test_the_pool_may_grow() -> None:
    """When every worker waits and the pool may grow, it has to; once a worker was asked for, it is on its way."""
    judge = Judge()
    assert judge.judge(waits(a="x"), {}, staff(1, may_grow=True), 0.0) is NEEDS_WORKER
    assert judge.judge(waits(a="x"), {}, staff(1, may_grow=True, target=2), 0.0) is FINE
    assert judge.judge(waits(a="x"), {}, staff(1, starting=1, target=2), 0.0) is FINE


def test_a_retiring_worker_is_replaced_to_the_target() -> None:
    """A worker that has to retire does not count towards the target."""
    assert Judge().judge(waits(a="x", b="y"), {}, staff(2, may_grow=True, retiring=1, target=2), 0.0) is FINE
    assert Judge().judge(waits(a="x", b="y"), {}, staff(2, may_grow=True, retiring=1, target=1), 0.0) is NEEDS_WORKER


def test_a_worker_that_is_not_made_in_time() -> None:
    """A worker that is to be made is waited for as long as ready_timeout says, from when every ready worker waits."""
    judge = Judge()
    pool = staff(1, starting=1, target=2, ready_timeout=5.0)
    assert judge.gives_up_at(pool) is None
    assert judge.judge(waits(a="x"), {}, pool, 10.0) is FINE
    assert judge.gives_up_at(pool) == 15.0
    assert judge.judge(waits(a="x"), {}, pool, 14.9) is FINE
    assert judge.judge(waits(a="x"), {}, pool, 15.0) is DEADLOCK
    assert judge.gives_up_at(staff(1, starting=1)) is None


def test_a_free_worker_in_between_begins_the_time_anew() -> None:
    """The time for a creation begins anew when a ready worker was free."""
    judge = Judge()
    pool = staff(1, may_grow=True, target=2, ready_timeout=5.0)
    judge.judge(waits(a="x"), {}, pool, 10.0)
    judge.judge({}, {}, pool, 14.0)
    assert judge.judge(waits(a="x"), {}, pool, 16.0) is FINE
    assert judge.gives_up_at(pool) == 21.0


def test_a_wait_that_ended_in_between_begins_the_time_anew() -> None:
    """So it does when a worker waits for something else than before; one that begins to wait does not change it."""
    judge = Judge()
    pool = staff(1, may_grow=True, target=2, ready_timeout=5.0)
    judge.judge(waits(a="x"), {}, pool, 10.0)
    judge.judge(waits(a="x", b="y"), {}, pool, 11.0)
    assert judge.gives_up_at(pool) == 15.0
    judge.judge(waits(a="x", b="z"), {}, pool, 12.0)
    assert judge.gives_up_at(pool) == 17.0


@pytest.mark.parametrize("served", [True, False])
def test_a_task_that_waits_for_itself_in_turn(served: bool) -> None:
    """Tasks that wait for each other are stuck, whether or not a worker takes tasks."""
    needs = waits(a="2", b="1", c="queued")
    stuck = stuck_among(needs, {"1": "a", "2": "b", "3": "c"}, served=served)
    assert stuck == (["a", "b"] if served else ["a", "b", "c"])


def test_a_chain_ends_from_its_end() -> None:
    """A task that waits for a running one ends if that one does."""
    needs = waits(c="queued", b="3", a="2")
    running = {"1": "a", "2": "b", "3": "c"}
    assert stuck_among(needs, running, served=True) == []
    assert stuck_among(needs, running, served=False) == ["c", "b", "a"]


def test_a_task_of_a_worker_that_does_not_wait() -> None:
    """What a free worker runs will come, even if no worker takes tasks from the queue; its waiter then takes them."""
    assert stuck_among(waits(a="2", b="queued"), {"1": "a", "2": "free"}, served=False) == []


def test_any_and_all() -> None:
    """One of the tasks is enough for a wait for any; a wait for all needs each."""
    running = {"1": "a", "2": "free"}
    assert stuck_among({"a": Need(("2", "1"), any=True)}, running, served=False) == []
    assert stuck_among({"a": Need(("2", "1"))}, running, served=True) == ["a"]
    assert stuck_among({"a": Need(("x", "y"), any=True)}, {}, served=False) == ["a"]
