"""Every event that an engine may report has its handler."""

from __future__ import annotations

from typing import get_args

import pytest

from tasker.control import events as ev
from unit.control.rig import Rig

EVENTS: tuple[type, ...] = get_args(ev.Event)


def test_every_event_has_a_handler() -> None:
    """The table of handlers has the events and nothing else."""
    assert set(Rig().supervisor._handlers) == set(EVENTS)


def test_what_is_no_event_raises() -> None:
    """An unknown event is a fault of the caller, and changes nothing."""
    rig = Rig().serving()
    before = rig.view
    with pytest.raises(KeyError):
        rig.do("no event")  # type: ignore[arg-type]
    assert rig.view == before
