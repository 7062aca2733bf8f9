"""docs/events.md lists every event with its fields, and no others."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

from tasker import events

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")
BASES = {"Workers": events.WorkerEvent, "Tasks": events.TaskEvent, "The manager": events.ManagerEvent}


def fields(kind: Any) -> list[str]:
    """The names of the fields of an event."""
    return [field.name for field in dataclasses.fields(kind)]


def listed() -> dict[str, tuple[str, list[str]]]:
    """The section of each event on the page, and its fields there."""
    found = {}
    for section in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]:
        head = section.split("\n", 1)[0]
        for name, more in re.findall(r"^\| `(\w+)` \|([^|]*)\|", section, flags=re.MULTILINE):
            found[name] = (head, re.findall(r"`(\w+)`", more))
    return found


def test_the_page_lists_every_event_with_its_fields() -> None:
    """In the order of the dataclass; those of the base are named above the table."""
    meant = {}
    for name in events.__all__:
        kind = getattr(events, name)
        if kind in BASES.values():
            continue
        head = next(head for head, base in BASES.items() if issubclass(kind, base))
        meant[name] = (head, [field for field in fields(kind) if field not in fields(BASES[head])])
    assert listed() == meant


def test_the_fields_of_the_bases_are_named() -> None:
    """Each, in the paragraph before its table."""
    for head, base in BASES.items():
        section = (
            PAGE[: PAGE.index(f"### {head}")] if base is events.ManagerEvent else PAGE[PAGE.index(f"### {head}") :]
        )
        for field in fields(base)[base is not events.ManagerEvent :]:
            assert f"`{field}`" in section, (head, field)


def test_the_module_has_them_all() -> None:
    """What the control plane can tell is public, and of tasker.events alone."""
    from tasker.control import notices

    told = {name for name, kind in vars(notices).items() if dataclasses.is_dataclass(kind)}
    assert set(events.__all__) == told
