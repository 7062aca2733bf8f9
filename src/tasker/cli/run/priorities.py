"""The priority of an item, from one of its fields."""

from __future__ import annotations

from typing import Any

from tasker import Priority
from tasker.cli.sources import in_words

from .items import Item

_KNOWN = {priority.name.lower(): priority for priority in Priority} | {
    str(int(priority)): priority for priority in Priority
}


def priority_of(item: Item, field: str | None) -> tuple[Priority, Item | None]:
    """Returns the item's priority; and for a malformed item, or a wrong value in the field, the malformed item.

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
    problem = f"{in_words(item.where)}: field {field!r} must be high, normal, low or 0 to 2, not {given!r}"
    return Priority.NORMAL, item._replace(problem=problem)


def _parse(given: Any) -> Priority | None:
    # True is an int, and would be 1.
    if isinstance(given, bool) or not isinstance(given, int | str):
        return None
    return _KNOWN.get(str(given).strip().lower())
