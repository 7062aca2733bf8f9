"""Classes that travel by value: the parent's are as they were when an instance comes back.

cloudpickle finds a class that it knows by a number that travels with it; but it makes another one all the same (which a
metaclass or ``__init_subclass__`` may register), and sets all of the known one's attributes again, to copies of what they are
in the child. So these functions take the place of cloudpickle's: where a class is known, no other one is made, and if it comes
from a child it is taken as it is.

The other way its attributes are set, as cloudpickle does it: a child has those that the class had when the task was sent.
"""

from __future__ import annotations

import weakref
from typing import Any

from cloudpickle import cloudpickle  # type: ignore[import-untyped]

_unfilled: weakref.WeakSet[type] = weakref.WeakSet()
"""Classes that were made here and have no attributes yet."""
_in_child = False


def begin_child() -> None:
    """Notes that this process is a child, so that what it pickles goes to the parent."""
    global _in_child  # noqa: PLW0603
    _in_child = True


def reduced_class(reduced: Any) -> Any:
    """Returns how an object is pickled, given how cloudpickle does it: another way for a class that goes by value."""
    if type(reduced) is not tuple or reduced[-1] is not cloudpickle._class_setstate:
        return reduced
    make, args, state, *_ = reduced
    return _known_or_made, (make, args), state, None, None, _fill if _in_child else _fill_again


def _known_or_made(make: Any, args: tuple[Any, ...]) -> Any:
    *_, number, _extra = args
    known = cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID.get(number)
    if known is not None:
        return known
    made = make(*args)
    _unfilled.add(made)
    return made


def _fill(made: Any, state: Any) -> Any:
    # Another thread may have made it just now; then both fill it, with the same.
    return _fill_again(made, state) if made in _unfilled else made


def _fill_again(made: Any, state: Any) -> Any:
    cloudpickle._class_setstate(made, state)
    _unfilled.discard(made)
    return made
