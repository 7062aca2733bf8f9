"""FaultPlan: which creation or destruction meets which fault."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .faults import Fault

_Faults = tuple[Fault, ...]


class FaultPlan:
    """A script of faults. Immutable: each method returns a plan that has one more fault, so plans can be shared and built
    upon. Creations and destructions are counted from 1, in the order in which the calls begin.

    ``FaultPlan().create(3, hangs()).destroy(2, raises(OSError("gone")))``: the third creation hangs, the second
    destruction raises.
    """

    __slots__ = ("_calls", "_ever")

    def __init__(self) -> None:
        self._calls: Mapping[tuple[str, int], _Faults] = {}
        self._ever: Mapping[str, tuple[tuple[int, _Faults], ...]] = {}

    def create(self, number: int | range, *faults: Fault) -> FaultPlan:
        """Has the creation ``number``, or each of a range, meet these faults, one after the other. Raises ``ValueError``
        for a number below 1, and ``TypeError`` for what is no fault."""
        return self._with("create", number, faults)

    def destroy(self, number: int | range, *faults: Fault) -> FaultPlan:
        """The same for destructions. A resource counts as destroyed even if its destruction raises, as for a manager."""
        return self._with("destroy", number, faults)

    def every_create(self, *faults: Fault, first: int = 1) -> FaultPlan:
        """Has each creation from number ``first`` on meet these faults, unless it has faults of its own. Of two such
        rules the later one counts. Raises as ``create`` does."""
        return self._with_ever("create", first, faults)

    def every_destroy(self, *faults: Fault, first: int = 1) -> FaultPlan:
        """The same for destructions."""
        return self._with_ever("destroy", first, faults)

    def faults_of(self, call: str, number: int) -> _Faults:
        """Returns what a call (``"create"`` or ``"destroy"``) of that number meets."""
        own = self._calls.get((call, number))
        if own is not None:
            return own
        for first, faults in reversed(self._ever.get(call, ())):
            if number >= first:
                return faults
        return ()

    def numbered(self) -> Iterable[tuple[str, int]]:
        """Returns the calls that have faults of their own."""
        return tuple(self._calls)

    def every_fault(self) -> Iterable[Fault]:
        """Returns all faults."""
        rules = [faults for rules in self._ever.values() for _, faults in rules]
        return tuple(fault for faults in (*self._calls.values(), *rules) for fault in faults)

    def _with(self, call: str, number: int | range, faults: _Faults) -> FaultPlan:
        numbers = list(number) if isinstance(number, range) else [number]
        for one in numbers:
            _check(call, one, faults)
        plan = FaultPlan()
        plan._calls, plan._ever = {**self._calls, **{(call, one): faults for one in numbers}}, self._ever
        return plan

    def _with_ever(self, call: str, first: int, faults: _Faults) -> FaultPlan:
        _check(call, first, faults)
        plan = FaultPlan()
        plan._calls, plan._ever = self._calls, {**self._ever, call: (*self._ever.get(call, ()), (first, faults))}
        return plan

    def __repr__(self) -> str:
        calls = [f".{call}({number}, {_listed(faults)})" for (call, number), faults in self._calls.items()]
        for call, rules in self._ever.items():
            calls += [f".every_{call}({_listed(faults)}, first={first})" for first, faults in rules]
        return "FaultPlan()" + "".join(calls)


def _check(call: str, number: Any, faults: tuple[Any, ...]) -> None:
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ValueError(f"the number of a {call} must be an integer of at least 1, or a range of such, got {number!r}")
    for fault in faults:
        if not callable(getattr(fault, "strike", None)) or not callable(getattr(fault, "astrike", None)):
            raise TypeError(
                f"{call} {number} needs faults, such as hangs(), raises(error) and takes(0.1), got {fault!r}"
            )


def _listed(faults: _Faults) -> str:
    return ", ".join(map(repr, faults))
