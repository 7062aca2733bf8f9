"""What every test over toy sessions checks."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from support.waiting import wait_until


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Every session has ended."""
    yield
    wait_until(lambda: not [one for one in threading.enumerate() if "-toy" in one.name], what="no toy is left")
