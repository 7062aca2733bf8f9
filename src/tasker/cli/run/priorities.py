"""The priority of an item, from a field of it."""

from __future__ import annotations

import dataclasses
from typing import Any

from tasker import Priority

from .items import Item

_KNOWN = {priority.name.lower(): priority for priority in Priority} | {
    str(int(priority)): priority for priority in Priority
}


def priority_of(item: Item, field: str | None) -> tuple[Priority, Item | None]:
    """The priority; and the item as a malformed one, when it is malformed or its field is wrong.

    An item without the field, or with an empty one, is of normal priority.
    """
    if item.problem is not None:
        return Priority.NORMAL, item
    if field is None or not isinstance(item.value, dict):
        return Priority.NORMAL, None
    given = item.value.get(field)
    if given is None or given == "":
        return Priority.NORMAL, None
    priority = _parse(given)
    if priority is not None:
        return priority, None
    problem = f"{item.where}: field {field!r} must be high, normal, low or 0 to 2, not {given!r}"
    return Priority.NORMAL, dataclasses.replace(item, problem=problem)


def _parse(given: Any) -> Priority | None:
    if isinstance(given, bool) or not isinstance(given, int | str):
        return None
    return _KNOWN.get(str(given).strip().lower())
