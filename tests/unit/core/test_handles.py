"""What is known of a resource beside itself."""

from __future__ import annotations

from time import monotonic

import pytest

from tasker.control.wear import Wear
from tasker.core.ages import UNKNOWN
from tasker.core.handles import Handle


class There:
    """A resource in another process."""

    def __init__(self, usable: bool) -> None:
        self.usable = usable


def test_a_new_handle() -> None:
    """It may be used, cools no more, has no age, and was used just now."""
    before = monotonic()
    handle = Handle("resource")
    assert (handle.resource, handle.remote, handle.wear, handle.age) == ("resource", None, None, UNKNOWN)
    assert handle.usable
    assert handle.cools_until == 0
    assert before <= handle.used <= monotonic()


@pytest.mark.parametrize(("served", "usable"), [(1, True), (2, False)])
def test_what_is_worn_is_not_usable(served: int, usable: bool) -> None:
    """Once it has served as many tasks as it may."""
    handle = Handle("resource")
    handle.wear = Wear(2, None)
    handle.wear.served = served
    assert handle.usable == usable


@pytest.mark.parametrize("usable", [True, False])
def test_its_process_knows(usable: bool) -> None:
    """Whatever its wear is here."""
    handle = Handle("resource")
    handle.remote = There(usable)
    assert handle.usable == usable
