"""Errors on their way from a child: type, arguments, causes, notes, and the traceback as text.

A pickled exception loses its causes, its traceback, and often cannot be made again (its class asks for other arguments than
it keeps). So each of the chain travels for itself; one that does not survive the journey is replaced by a ``TravelError``
that says what it was. Of a long chain the first ``_CHAIN`` travel; the text has them all.

An error is the user's: whatever its own methods do, even ``sys.exit``, must not end the child or the parent.
"""

from __future__ import annotations

import copyreg
import traceback
from dataclasses import dataclass, field
from operator import is_
from pathlib import Path
from typing import Any

from tasker.core.outcomes import attribute
from tasker.errors import RemoteTraceback, TravelError
from tasker.logs import describe

from .pickling import USER_ERRORS, pack_whole, unpack

_PACKAGE = Path(__file__).parents[2]
_CHAIN = 50


@dataclass(slots=True)
class PackedError:
    """One error of the chain."""

    pickled: bytes | None
    text: str
    """Describes the error."""
    notes: list[str] = field(default_factory=list)
    cause: PackedError | None = None
    context: PackedError | None = None
    suppress: bool = False
    traceback: str | None = None
    """Of the first error, with all that leads to it."""
    members: list[PackedError] | None = None
    """Of a group. ``pickled`` is then the group without them."""


def pack_error(error: BaseException) -> PackedError:
    """Packs an error with what it came from; its traceback begins where the user's code does."""
    trace = attribute(error, "__traceback__")
    while trace is not None and trace.tb_next is not None and _ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    try:
        text = "".join(traceback.format_exception(type(error), error, trace))
    except USER_ERRORS as fault:  # its own __str__
        text = f"{type(error).__name__}, whose traceback could not be formatted: {describe(fault)}"
    try:
        packed = _pack(error, set(), _CHAIN)
    except BaseException:  # no memory, or one of its own methods that is not thought of here
        packed = PackedError(None, describe(error))
    packed.traceback = text
    return packed


def _ours(file: str) -> bool:
    path = Path(file)
    return path.is_relative_to(_PACKAGE) or path.parent.name == "asyncio"


def _pack(error: BaseException, seen: set[int], most: int) -> PackedError:
    seen.add(id(error))

    def follow(other: BaseException | None) -> PackedError | None:
        return None if other is None or id(other) in seen or not most else _pack(other, seen, most - 1)

    packed = PackedError(
        None,
        describe(error),
        _notes(error),
        follow(attribute(error, "__cause__")),
        follow(attribute(error, "__context__")),
        attribute(error, "__suppress_context__"),
    )
    if isinstance(error, BaseExceptionGroup) and most:
        # Each for itself: one that cannot travel is replaced, and the others keep their causes and notes.
        packed.members = [_pack(member, seen, most - 1) for member in error.exceptions]
        packed.pickled = _pickled_group(error)
    else:
        packed.pickled = _pickled(error)
    return packed


def _notes(error: BaseException) -> list[str]:
    """Returns those notes that are text; user code may put anything there."""
    try:
        notes = getattr(error, "__notes__", ())
    except USER_ERRORS:
        return []
    return [str(note) for note in notes if isinstance(note, str)] if isinstance(notes, list | tuple) else []


def _pickled(error: BaseException) -> bytes | None:
    """Returns None if neither the error nor a likeness can be pickled and made again from that."""
    kind = type(error)
    for attempt in (lambda: error, lambda: _Likeness(kind, error.args, _state(error)), lambda: _likeness(error)):
        try:
            pickled = pack_whole(attempt())
            again = unpack([pickled])
        except USER_ERRORS:  # the next attempt follows
            continue
        if type(again) is kind:
            return pickled
    return None


class _Likeness:
    """An error without what cannot travel, made again without a call of its class, which may ask for other arguments
    than it keeps."""

    def __init__(self, kind: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> None:
        self._parts = kind, args, state

    def __reduce__(self) -> Any:
        return _remake, self._parts


def _likeness(error: BaseException) -> _Likeness:
    return _Likeness(type(error), tuple(map(_or_its_repr, error.args)), _travelling_state(error))


def _state(error: BaseException) -> dict[str, Any]:
    """Returns its attributes, those in slots included."""
    slots = copyreg._slotnames(type(error))  # type: ignore[attr-defined]
    return {**{name: getattr(error, name) for name in slots if hasattr(error, name)}, **vars(error)}


def _travelling_state(error: BaseException) -> dict[str, Any]:
    return {name: value for name, value in _state(error).items() if _travels(value)}


def _or_its_repr(value: Any) -> Any:
    return value if _travels(value) else repr(value)


def _travels(value: Any) -> bool:
    try:
        unpack([pack_whole(value)])
    except USER_ERRORS:
        return False
    return True


def _remake(kind: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> BaseException:
    return _complete(kind.__new__(kind, *args), args, state)


def _complete(error: BaseException, args: tuple[Any, ...], state: dict[str, Any]) -> BaseException:
    _set(error, "args", args)
    for name, value in state.items():
        object.__setattr__(error, name, value)  # its class may forbid assignments
    return error


# -- groups ---------------------------------------------------------------------------------------------------------------


class _Members:
    """Stands for the members among the arguments of a group."""


def _pickled_group(group: BaseExceptionGroup[BaseException]) -> bytes | None:
    """Pickles what a group has besides its members."""
    try:
        return pack_whole(_shell(group))
    except USER_ERRORS:
        return None


def _shell(group: BaseExceptionGroup[BaseException]) -> tuple[Any, ...]:
    kind, plain = type(group), ExceptionGroup if isinstance(group, Exception) else BaseExceptionGroup
    args = tuple(_Members if _are_members(arg, group) else _or_its_repr(arg) for arg in group.args)
    return kind if _travels(kind) else plain, group.message, args, _travelling_state(group)


def _are_members(arg: Any, group: BaseExceptionGroup[BaseException]) -> bool:
    members = group.exceptions
    return isinstance(arg, list | tuple) and len(arg) == len(members) and all(map(is_, arg, members))


def _regrouped(pickled: bytes, members: list[BaseException]) -> BaseException:
    kind, message, args, state = unpack([pickled])
    # Not by a call of its class, which may ask for other arguments.
    group = BaseExceptionGroup.__new__(kind, message, members)
    return _complete(group, tuple(members if arg is _Members else arg for arg in args), state)


def unpack_error(packed: PackedError) -> BaseException:
    """Makes the error again as it was raised; at the end of its causes stands the child's traceback."""
    error = _unpack(packed)
    if packed.traceback is not None:
        last, seen = error, {id(error)}
        while (cause := attribute(last, "__cause__")) is not None and id(cause) not in seen:
            last = cause
            seen.add(id(last))
        suppressed = attribute(last, "__suppress_context__")
        _set(last, "__cause__", RemoteTraceback(packed.traceback))
        _set(last, "__suppress_context__", suppressed or last is error)
    return error


def _unpack(packed: PackedError) -> BaseException:
    error = None
    if packed.pickled is not None:
        try:
            if packed.members is None:
                error = unpack([packed.pickled])
            else:
                error = _regrouped(packed.pickled, [_unpack(member) for member in packed.members])
        except USER_ERRORS as fault:
            packed.text += f" (it can't be made again here: {describe(fault)})"
    if not isinstance(error, BaseException):
        error = TravelError(f"an error that can't travel: {packed.text}")
    known = _notes(error) if packed.notes else ()
    for note in packed.notes:
        if note not in known:
            _add_note(error, note)
    if packed.cause is not None:
        _set(error, "__cause__", _unpack(packed.cause))
    if packed.context is not None:
        _set(error, "__context__", _unpack(packed.context))
    _set(error, "__suppress_context__", packed.suppress)
    return error


def _add_note(error: BaseException, note: str) -> None:
    try:
        error.add_note(note)
    except USER_ERRORS:  # a class that forbids it
        pass


def _set(error: BaseException, name: str, value: object) -> None:
    # Not by assignment, which a class may forbid (a frozen dataclass does).
    BaseException.__dict__[name].__set__(error, value)
