"""Tests ParkingLot: orders, stays, and what withdraws them."""

from __future__ import annotations

from tasker.core.parking import ParkingLot


def test_orders_are_handed_out_once() -> None:
    """Those that are parked or ordered already count."""
    lot = ParkingLot()
    assert lot.want(2) == 2
    assert lot
    assert lot.enter("a", lambda: None)
    assert lot.want(2) == 0
    assert lot.want(3) == 1
    assert lot.enter("b", lambda: None)
    assert lot.enter("c", lambda: None)
    assert not lot
    assert not lot.enter("d", lambda: None), "there is no fourth order"


def test_orders_are_withdrawn_before_stays_end() -> None:
    """The workers that are parked stay, as long as there are orders that no worker has found."""
    lot, released = ParkingLot(), []
    lot.want(3)
    for name in "ab":
        lot.enter(name, lambda name=name: released.append(name))  # type: ignore[misc]
    assert lot.want(2) == 0
    assert not released
    assert not lot.enter("c", lambda: None), "its order was withdrawn"
    assert lot.want(1) == 0
    assert released == ["b"]
    assert lot.want(0) == 0
    assert released == ["b", "a"]
    assert lot.want(1) == 1, "nothing is left of what was"


def test_a_worker_leaves_by_itself() -> None:
    """It is released, and another one may be parked in its place if that is wanted."""
    lot, released = ParkingLot(), []
    lot.want(1)
    lot.enter("a", lambda: released.append("a"))
    lot.leave("a")
    lot.leave("a")
    assert released == ["a"]
    assert lot.want(1) == 1
