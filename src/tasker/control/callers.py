"""CallerGate: whether a caller of ``run_task`` may make a resource itself, now.

Callers do not wait for the supervisor, so they look at its latest view, and report what they find out. The circuit breaker is
the supervisor's alone; this is its forecourt.

- Creations succeed: every caller may.
- One round has failed: every caller may still, since that may have been chance, and a refusal costs a caller its task, where a
  worker would only start a moment later.
- More have failed, or a task has said that what resources depend on is down: none may, until the pause is over. Then a worker
  or the pool makes the probe, if one is missing, or else one caller.
"""

from __future__ import annotations

from collections import deque

from .creation import BreakerState
from .events import CallerCreation
from .view import View

CHANCE = 1
"""The rounds in a row that may fail before callers are refused."""


class CallerGate:
    """See the module's docstring. Not thread-safe."""

    __slots__ = ("_outcomes", "_passed", "_probe", "_reported")

    def __init__(self) -> None:
        self._reported = 0
        self._outcomes: deque[str | None] = deque()
        """What was reported and the view does not know yet, the oldest first: the error of a creation, None for a success."""
        self._probe: object | None = None
        """The call whose creation is the probe."""
        self._passed: float | None = None
        """The end of the pause after which a probe has succeeded: until the view follows, all callers may."""

    def refusal(self, view: View, now: float, call: object) -> str | None:
        """Returns why this call may not make a resource, or None: then ``ended`` or ``dropped`` has to follow, unless the
        call is interrupted before."""
        outcomes = self._unknown(view)
        failures, error = view.failing_creations, view.creation_error
        for outcome in outcomes:
            failures, error = (0, None) if outcome is None else (failures + 1, outcome)
        if failures <= CHANCE and not view.dependency_down:
            return None
        due = view.callers_probe_at
        if due is not None and not outcomes and now >= due:
            if due == self._passed:
                return None
            if self._probe is None:
                self._probe = call  # last: an interrupted call drops what it has
                return None
        if due is None:
            due = view.next_creation
        when = (
            "another one is to be tried first" if due is None or now >= due else f"the next try is in {due - now:.2f} s"
        )
        if failures <= CHANCE:
            return f"what resources depend on is down: {error}; {when}"
        return f"{failures} creations in a row have failed, last with {error}; {when}"

    def ended(self, view: View, call: object, begun: float, error: str | None) -> CallerCreation | None:
        """Records the end of a creation that began at ``begun``, with its error if it has failed. Returns the event to
        report, if any; then ``reported`` has to follow."""
        if error is None and self._probe is call:
            self._passed = view.callers_probe_at
        self.dropped(call)
        # A failure that the view does not know yet opens the breaker, and this success has to close it.
        if error is None and view.breaker is BreakerState.CLOSED and not self._unknown(view):
            return None
        return CallerCreation(begun, error)

    def reported(self, error: str | None) -> None:
        """The event was reported."""
        self._reported += 1
        self._outcomes.append(error)

    def dropped(self, call: object) -> None:
        """A call makes no resource any more. Harmless if repeated."""
        if self._probe is call:
            self._probe = None

    def _unknown(self, view: View) -> deque[str | None]:
        # Fewer than none, after a call that was interrupted between its report and ``reported``.
        unknown = max(0, self._reported - view.caller_creations)
        while len(self._outcomes) > unknown:
            self._outcomes.popleft()
        return self._outcomes
