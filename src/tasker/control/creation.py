"""The circuit breaker around creations: how many resources may be made now, and when the next one is tried.

- **closed**: creations succeed, and as many as are wanted begin at once.
- **open**: one has failed. None begins until a pause is over, which grows with each further failure.
- **half-open**: one, the *probe*, is under way. If it fails, the breaker is open again; if it succeeds, closed, and everything
  that is missing is made at once. If there was nothing to be made after all, it is open, and the next one is the probe.

One breaker serves all that a manager creates, because one ``on_create`` makes it all: the resources of workers and those of
``run_task``. While the cause persists, each further creation would only fail and load what is down.
"""

from __future__ import annotations

import enum
import math
import random

from . import actions as act

MAX_DELAY = 30.0
"""Seconds."""


class BreakerState(enum.Enum):
    """The state of a circuit breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class BreakerMove(enum.Enum):
    """A change of a breaker's state."""

    FAILED = "failed"
    PROBED = "probed"
    SUCCEEDED = "succeeded"
    WITHDRAWN = "withdrawn"


BREAKER_MOVES: dict[tuple[BreakerState, BreakerMove], BreakerState] = {
    (BreakerState.CLOSED, BreakerMove.FAILED): BreakerState.OPEN,
    (BreakerState.CLOSED, BreakerMove.SUCCEEDED): BreakerState.CLOSED,
    (BreakerState.OPEN, BreakerMove.FAILED): BreakerState.OPEN,
    (BreakerState.OPEN, BreakerMove.PROBED): BreakerState.HALF_OPEN,
    # By one that began before the first failure: what it needs is back, or was never gone.
    (BreakerState.OPEN, BreakerMove.SUCCEEDED): BreakerState.CLOSED,
    (BreakerState.HALF_OPEN, BreakerMove.FAILED): BreakerState.OPEN,
    (BreakerState.HALF_OPEN, BreakerMove.SUCCEEDED): BreakerState.CLOSED,
    (BreakerState.HALF_OPEN, BreakerMove.WITHDRAWN): BreakerState.OPEN,
}


class CreationGate:
    """The circuit breaker of a manager; see the module's docstring. Not thread-safe.

    Creations that were under way at the same time fail for the same reason, so together they are one failure: a *round*.

    ``first`` is the limit of the pause after the first failure, in seconds; it doubles with each further one, up to 30 s.
    The pause is random between 0 and the limit: "full jitter", with which the clients of a server that is back come one by
    one, and with the least work in total (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015). The
    random numbers come from ``rng``, so that a test can repeat them.
    """

    __slots__ = (
        "_closed_at",
        "_delay",
        "_failed_at",
        "_first",
        "_latest",
        "_probed_at",
        "_rng",
        "_sound_since",
        "down",
        "error",
        "failed_ever",
        "failures",
        "retry_at",
        "state",
    )

    def __init__(self, first: float, rng: random.Random) -> None:
        self._first = first
        self._rng = rng
        self.state: BreakerState = BreakerState.CLOSED
        self.failures: int = 0
        """The rounds of creations in a row that failed."""
        self.failed_ever: int = 0
        """The creations that failed, each counted, since the start."""
        self.error: str | None = None
        self.down: bool = False
        """Whether it is not chance: a user of a resource has said so."""
        self.retry_at: float = 0.0
        self._failed_at: float = 0.0
        """When the first failure of this round was reported."""
        self._delay: float = 0.0
        self._latest: int = 0
        """The failures in a row before the last success."""
        self._closed_at: float = -math.inf
        self._sound_since: float = -math.inf
        """When the creation began whose success has closed the breaker last."""
        self._probed_at: float = 0.0

    @property
    def closed(self) -> bool:
        """Whether creations succeed."""
        return self.state is BreakerState.CLOSED

    def failed(self, now: float, error: str, begun: float | None = None) -> float:
        """Records the failure of a creation that began at ``begun`` (None: after all others); returns the seconds until
        the next attempt."""
        self.error = error
        self.failed_ever += 1
        if begun is None or not self._of_last_round(begun):
            return self._open(now, self.failures + 1)
        if self.state is BreakerState.OPEN:
            self.retry_at = now + self._delay
        return max(0.0, self.retry_at - now)

    def _of_last_round(self, begun: float) -> bool:
        if self.state is BreakerState.HALF_OPEN:
            return begun < self._probed_at  # the pause may have been shorter than the clock can measure
        return self.state is BreakerState.OPEN and begun <= self._failed_at

    def dependency_down(self, now: float, error: str, begun: float) -> float | None:
        """Opens the breaker although no creation has failed: what resources depend on is down, as a user of one has found
        out. Returns the seconds until the next attempt, or None if that is nothing new.

        Several find that out at a time, so it counts once until the breaker closes. If it comes again within the last
        pause after that, the success of the probe has meant nothing, and the pauses go on growing. One that began, at
        ``begun``, before the creation that has closed the breaker says nothing of what is now. One that began during that
        creation does: its worker takes a task before the supervisor has heard of it.
        """
        if not self.closed or begun < self._sound_since:
            return None
        self.error, self.down = error, True
        relapse = self._latest and now <= self._closed_at + self._limit(self._latest)
        return self._open(now, self._latest + 1 if relapse else 1)

    def _open(self, now: float, failures: int) -> float:
        self.state = BREAKER_MOVES[self.state, BreakerMove.FAILED]
        self.failures = failures
        self._failed_at = now
        self._delay = self._rng.random() * self._limit(failures)
        self.retry_at = now + self._delay
        return self._delay

    def _limit(self, failures: int) -> float:
        # The exponent is bounded because a float overflows at 2.0 ** 1024, and a resource may fail for days.
        return min(MAX_DELAY, self._first * 2.0 ** min(failures - 1, 30))

    def succeeded(self, now: float, begun: float | None = None) -> None:
        """Records the success of a creation that began at ``begun`` (None: it was given up), and closes the breaker.

        If a user of a resource has said that what it depends on is down, the success of a creation that had begun before that
        says nothing: resources can be made all the same.
        """
        if self.down:
            if begun is None:
                self.withdrawn()
                return
            if self._of_last_round(begun):
                return
        self.state = BREAKER_MOVES[self.state, BreakerMove.SUCCEEDED]
        if self.failures:
            self._latest, self._closed_at = self.failures, now
            self._sound_since = now if begun is None else begun
            self.failures = 0
            self.error, self.down = None, False

    def allowed(self, now: float, wanted: int, under_way: int) -> int:
        """Returns how many of ``wanted`` creations may begin now, while ``under_way`` have begun."""
        if self.closed:
            return wanted
        return min(wanted, 1) if not under_way and self.due(now) else 0

    def due(self, now: float) -> bool:
        """Whether the pause is over and no probe is under way."""
        return self.state is BreakerState.OPEN and now >= self.retry_at

    def begun(self, now: float) -> None:
        """A creation that was allowed begins."""
        if not self.closed:
            self._probed_at = now
            self.state = BREAKER_MOVES[self.state, BreakerMove.PROBED]

    def withdrawn(self) -> None:
        """A creation that has begun was not needed any more, and says nothing: if it was the probe, the next one is."""
        self.state = BREAKER_MOVES.get((self.state, BreakerMove.WITHDRAWN), self.state)


def recovered(gate: CreationGate, now: float, begun: float | None) -> list[act.Action]:
    """A resource was made, see ``CreationGate.succeeded``. Returns the message that this is possible again, if it was not."""
    times = gate.failures
    gate.succeeded(now, begun)
    failures = "1 failure" if times == 1 else f"{times} failures in a row"
    return [act.Log("info", "resources can be made again, after %s", (failures,))] if times and gate.closed else []
