"""How many workers there should be: the policy's protocol, and the default policy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from .staffing import workers_needed

_CHANCE = 2.0
"""Standard deviations."""


@dataclass(frozen=True, slots=True)
class Window:
    """What went through the queue over some seconds up to now."""

    arrival_rate: float
    """Tasks a second."""
    completion_rate: float
    """Tasks a second."""
    running: float
    """How many ran at once, in the mean over time."""
    seconds: float
    """How long it is."""

    @property
    def service_time(self) -> float | None:
        """Seconds for which a task keeps its worker: by Little's law, what ran divided by the rate at which it ended.
        None where nothing was completed."""
        return self.running / self.completion_rate if self.completion_rate > 0 else None

    @property
    def load(self) -> float:
        """How many workers the arrivals keep busy: by Little's law, arrival rate times service time."""
        return self.arrival_rate * (self.service_time or 0.0)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a policy decides on."""

    worker_count: int
    max_worker_count: int
    workers: int
    """The present target: those that serve the queue or are about to."""
    ready: int
    """Workers that have their resource."""
    starting: int
    """Workers that make their resource."""
    queued: int
    running: int
    oldest_wait: float
    """Seconds for which the first task of the queue has waited; 0 where nothing waits, or it is not known."""
    target_wait: float
    """``Config.target_wait``, seconds."""
    recent: Window
    """The last second."""
    usual: Window
    """The last ten seconds."""
    creation_time: float | None
    """Seconds that making a resource takes, as measured lately; None before one was made."""
    peaks: tuple[tuple[float, int], ...]
    """When (the clock of ``now``) the policy last found so many workers needed: ever later, and ever fewer."""
    useful: int | None
    """More workers than this were tried, and did not raise the throughput; None where nothing like it was found."""
    useful_why: str = ""
    """The measurements behind ``useful``."""


@dataclass(frozen=True, slots=True)
class Decision:
    """How many workers there should be, and why, in words and numbers."""

    target: int
    why: str
    need: int | None = None
    """How many the load needs at this moment, where the target is another number; see ``Snapshot.peaks``."""


class ScalingPolicy(Protocol):
    """Decides the number of workers. One object may serve several managers; so it keeps nothing between two calls."""

    def decide(self, snapshot: Snapshot, now: float, /) -> Decision:
        """Called at each tick. The target is held within ``worker_count`` and ``max_worker_count`` by the caller."""
        ...


@dataclass(frozen=True, slots=True)
class RatePolicy:
    """The default: grows at once to what load and backlog need, and lets go what was not needed for a while.

    *Need.* Arrival rate times service time is how many workers the arrivals keep busy (Little's law); ``workers_needed``
    (Erlang C) says how many there must be so that at most a share ``risk`` of the tasks waits for longer than
    ``Config.target_wait``; but beyond those that run only as many spare ones as may be needed before another is made,
    for not every load is as irregular as that formula takes it to be: ``spare`` standard deviations of what arrives
    during a creation (or a task, if that is shorter), and at least one. A backlog needs as many as start all of it
    within ``target_wait``, or within the share ``catch_up`` of a creation's time, if that is longer, since its tasks
    will have waited for that anyway; before anything was completed, one for each task.

    *Growing.* Only while tasks wait, and only where they would still have to wait for more than ``target_wait`` by the
    time that a worker that is started now has made its resource.

    *Shrinking.* To the greatest need of the last seconds: ``hold``, or ``hold_services`` times as long as a task takes,
    or ``hold_creations`` times as long as making a resource takes, whichever is most, up to ``hold_most``. Whoever
    keeps an idle worker for as long as its creation costs pays at most twice what a clairvoyant would (the ski-rental
    problem: A. Karlin et al., "Competitive snoopy caching", 1988); it is more, because tasks wait for a creation.
    Creations that have not begun, since earlier ones failed or there was no room, are dropped once they are not needed.

    *Not more than helps.* It never asks for more workers than ``Snapshot.useful``, unless ``trials`` is False.
    """

    risk: float = 0.01
    spare: float = 1.0
    catch_up: float = 0.25
    hold: float = 1.0
    """Seconds."""
    hold_services: float = 2.0
    hold_creations: float = 3.0
    hold_most: float = 60.0
    """Seconds."""
    trials: bool = True
    """Whether to hold or step back where more workers do not raise the throughput."""

    def __post_init__(self) -> None:
        """Raises ``ValueError`` for a number that is out of its range."""
        if not 0 < self.risk < 1:
            raise ValueError(f"RatePolicy.risk must be more than 0 and less than 1, got {self.risk!r}")
        for name in ("spare", "catch_up", "hold", "hold_services", "hold_creations", "hold_most"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"RatePolicy.{name} must be a finite number, at least 0, got {getattr(self, name)!r}")

    def decide(self, snapshot: Snapshot, now: float, /) -> Decision:
        at = snapshot
        need, why, short = self._need(at)
        need = max(at.worker_count, min(need, at.max_worker_count))
        bound = at.max_worker_count
        if self.trials and at.useful is not None:
            bound = max(at.worker_count, at.useful)
        if at.workers > bound or (short and need > bound):
            return Decision(bound, f"{at.useful_why}; {why}", need)
        if short:
            return Decision(max(need, at.workers), why, need)
        return self._keep(at, need, why, now)

    def _need(self, at: Snapshot) -> tuple[int, str, bool]:
        """How many workers the load needs; why; and whether tasks would wait too long with those that there are."""
        if not at.queued:
            steady, why = self._steady(at, at.usual.service_time)
            return steady, f"nothing waits, {why}", False
        service = _service_time(at)
        if service is None:
            need = at.running + at.queued
            return need, f"{at.queued} wait, {at.running} run, none was completed lately", True
        steady, why = self._steady(at, service)
        left = _left(at, service)
        wait = left * service / max(1, at.workers)
        if wait <= at.target_wait:
            return steady, f"{at.queued} wait, and will be started within {wait:.3f} s; {why}", False
        within = max(at.target_wait, self.catch_up * (at.creation_time or 0.0))
        need = math.ceil(min(left * service / within, at.running + left))
        why = f"{at.queued} wait, and would wait {wait:.3f} s more when new workers are ready; {why}"
        return max(steady, need), why, True

    def _steady(self, at: Snapshot, service: float | None) -> tuple[int, str]:
        if service is None:
            return at.running, f"{at.running} run, none was completed lately"
        rate = _arrival_rate(at)
        need = workers_needed(rate * service, service, at.target_wait, self.risk, at.max_worker_count)
        meanwhile = rate * min(at.creation_time or 0.0, service)
        need = min(need, at.running + max(1, math.ceil(self.spare * math.sqrt(meanwhile))))
        return need, f"{at.running} run, {rate:.1f}/s arrive and take {service:.3g} s each, which needs {need} workers"

    def _keep(self, at: Snapshot, need: int, why: str, now: float) -> Decision:
        costs = self.hold_services * (at.usual.service_time or 0.0), self.hold_creations * (at.creation_time or 0.0)
        hold = min(max(self.hold, *costs), self.hold_most)
        peak = max([need, *(count for moment, count in at.peaks if now - moment < hold)])
        begun = at.ready + at.starting
        dropped = at.workers - max(need, begun)
        if dropped > 0 and begun < peak:
            return Decision(at.workers - dropped, f"{dropped} more are no longer needed; {why}", need)
        if peak < at.workers:
            return Decision(peak, f"no more than {peak} were needed for {hold:.1f} s; {why}", need)
        return Decision(at.workers, why, need)


def _left(at: Snapshot, service: float) -> float:
    """How many tasks will wait when workers that are started now have made their resource: those that wait, and those
    that arrive meanwhile, less what is started by the workers that are ready, and by half of those that will be."""
    ahead = at.creation_time or 0.0
    if not ahead or not service:
        return float(at.queued)
    return max(0.0, at.queued + ahead * (at.recent.arrival_rate - (at.ready + at.starting / 2) / service))


def _service_time(at: Snapshot) -> float | None:
    """The usual one; where the queue stalls all the same, the recent one, should that be longer."""
    usual, recent = at.usual.service_time, at.recent.service_time
    if usual is None or at.oldest_wait <= at.target_wait:
        return usual
    return None if recent is None else max(usual, recent)


def _arrival_rate(at: Snapshot) -> float:
    """The usual one, which is the more exact; corrected where the recent one differs by more than chance explains, which for
    independent arrivals is seldom more than twice the square root of their number."""
    usual, recent, seconds = at.usual.arrival_rate, at.recent.arrival_rate, at.recent.seconds
    if seconds <= 0.0:
        return usual
    chance = _CHANCE * math.sqrt(recent * seconds + 1.0) / seconds
    return min(max(usual, recent - chance), recent + chance)
