"""How many workers there should be: the policy's protocol, and the default policy."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, Protocol

from .finite import is_finite
from .holding import Level, idle_plan
from .staffing import workers_needed
from .wording import duration

_DEVIATIONS = 2.0
"""Standard deviations by which two measured rates may differ before the difference counts as a change of the load."""

_OLD = 3.0
"""Running tasks whose median age is so many service times are not of the kind that was measured: of exponential service
times, one in 20 lasts that long, and hardly ever half of several."""

_YOUNG = 0.5
"""Seconds that have to be measured before a rate of arrivals is taken to go on."""
_SMOOTHEST = 0.1
"""The least peakedness that counts."""


@dataclass(frozen=True, slots=True)
class Window:
    """What went through the queue during the last seconds."""

    arrival_rate: float
    """Tasks a second."""
    completion_rate: float
    """Tasks a second."""
    running: float
    """Tasks that ran at the same time, averaged over time."""
    seconds: float
    """The length of the window; less than its full length while the manager is younger than that."""

    @property
    def service_time(self) -> float | None:
        """Seconds for which a task occupies its worker: by Little's law, the tasks that ran at the same time divided by
        the completion rate. None if no task was completed."""
        return self.running / self.completion_rate if self.completion_rate > 0 else None

    @property
    def load(self) -> float:
        """The number of workers that the arrivals keep busy: by Little's law, arrival rate times service time."""
        return self.arrival_rate * (self.service_time or 0.0)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a manager on which a policy decides."""

    worker_count: int
    max_worker_count: int
    workers: int
    """The present target: workers that serve the queue or are going to."""
    ready: int
    """Workers that have their resource."""
    starting: int
    """Workers that are making their resource."""
    queued: int
    running: int
    oldest_wait: float
    """Seconds for which the first task in the queue has waited; 0 if the queue is empty or the wait is unknown."""
    target_wait: float
    """``Config.target_wait``, in seconds."""
    recent: Window
    """The last second."""
    usual: Window
    """The last ten seconds."""
    creation_time: float | None
    """Seconds that making a resource takes, as measured lately; None until the first creation has begun."""
    peaks: tuple[tuple[float, int], ...]
    """(moment, workers): the moments, on the clock of ``now``, at which the policy last needed that many workers. The
    moments increase, the numbers decrease."""
    useful: int | None
    """A limit: more workers than this were tried and did not raise the throughput, or a trial is under way of whether
    so few do as much. None if there is no such limit."""
    useful_why: str = ""
    """The measurements behind ``useful``."""
    running_age: float = 0.0
    """The median of the seconds for which the running tasks have run, while tasks wait; 0 if it is not known."""
    levels: tuple[Level, ...] = field(default=(), repr=False)
    """For each worker that was ever needed: since when it is not, and how long it was not before; first that of the first
    worker."""
    peakedness: float = 1.0
    """The variance of the number of tasks in the pool divided by its mean, over the last ten seconds: 1 for independent
    arrivals, more if they come in bursts, less if they are regular."""
    created: int = 0
    """Creations that were begun in the last ten seconds."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The number of workers that there should be, and the reason."""

    target: int
    why: str
    """In words and numbers, for the log and for ``explain()``."""
    need: int | None = None
    """The number of workers that the load needs at this moment, if it differs from the target; see
    ``Snapshot.peaks``."""


class ScalingPolicy(Protocol):
    """Decides the number of workers. One object may serve several managers, so it must not keep state between calls."""

    def decide(self, snapshot: Snapshot, now: float, /) -> Decision:
        """Returns the number of workers that there should be; called at each tick (``Config.burst_interval``).

        ``now`` is in ``time.monotonic`` seconds. The manager keeps the target between ``worker_count`` and
        ``max_worker_count``. If this raises, the error is logged and the number of workers stays as it is.
        """
        ...


@dataclass(frozen=True, slots=True)
class RatePolicy:
    """The default policy: grows at once to what load and backlog need, and shrinks to what was needed lately.

    *Need.* Arrival rate times service time is the number of workers that the arrivals keep busy (Little's law).
    ``workers_needed`` (Erlang C) gives the number with which at most a share ``risk`` of the tasks waits longer than
    ``Config.target_wait``. Erlang C assumes independent arrivals and overestimates the reserve for a more regular load,
    so the reserve beyond the running tasks is limited to what may be needed before another worker can be made:
    ``spare`` standard deviations of the number of tasks that arrive during a creation (or during a task, if that is
    shorter), and at least one. A backlog needs enough workers to start all of it within ``target_wait``, or within the
    share ``catch_up`` of a creation's time, if that is longer, because its tasks have to wait for a creation anyway.
    Until a first task has completed, each task needs a worker.

    *Growing.* Only while tasks wait, and only if they would still wait longer than ``target_wait`` when a worker that
    is started now has made its resource; with a reserve, also while nothing waits.

    *Reserve.* Arrivals that come in bursts need more than Erlang C asks for: ``"full"`` sizes the pool by the measured
    peakedness (Hayward's approximation), ``"half"`` half way.

    *Shrinking.* To let a worker go that is needed again costs ``hold`` seconds, ``hold_services`` times the service time or
    ``hold_creations`` times the creation time, whichever is longest, up to ``hold_most``. It is kept for so long (ski
    rental: A. Karlin et al., "Competitive snoopy caching", 1988) until enough of its idle gaps are known; then for as
    long as is cheapest with gaps like these, or another one is made shortly before it is needed (``holding``). Creations
    that have not begun, because earlier ones failed or there was no room, are dropped as soon as they are not needed.
    No more than ``creations`` times the maximum are made in ten seconds.

    *Limit.* It never asks for more workers than ``Snapshot.useful``, unless ``trials`` is False.
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
    reserve: Literal["none", "half", "full"] = "none"
    """Whether to keep idle workers for the bursts that the load has; see above."""
    creations: float = 3.0
    """In ten seconds, no more workers are made than this many times ``max_worker_count``; what is there is kept then."""
    trials: bool = True
    """Whether to hold or reduce the number of workers where more of them do not raise the throughput."""

    def __post_init__(self) -> None:
        """Raises ``ValueError`` if a number is out of its range."""
        if not is_finite(self.risk) or not 0 < self.risk < 1:
            raise ValueError(f"RatePolicy.risk must be more than 0 and less than 1, got {self.risk!r}")
        if self.reserve not in ("none", "half", "full"):
            raise ValueError(f"RatePolicy.reserve must be 'none', 'half' or 'full', got {self.reserve!r}")
        for name in ("spare", "catch_up", "hold", "hold_services", "hold_creations", "hold_most", "creations"):
            value = getattr(self, name)
            if not is_finite(value) or value < 0:
                raise ValueError(f"RatePolicy.{name} must be a finite number, at least 0, got {value!r}")

    def decide(self, snapshot: Snapshot, now: float, /) -> Decision:
        """See ``ScalingPolicy``."""
        need, why, short = self._need(snapshot)
        need = max(snapshot.worker_count, min(need, snapshot.max_worker_count))
        bound = snapshot.max_worker_count
        if self.trials and snapshot.useful is not None:
            bound = max(snapshot.worker_count, snapshot.useful)
        # Before anything else: a limit that was just found is stepped back to at once, even while tasks wait.
        if snapshot.workers > bound:
            return Decision(bound, f"{snapshot.useful_why}; {why}", need)
        # A reserve is for tasks that do not wait yet.
        if short or (self.reserve != "none" and need > snapshot.workers):
            # A backlog is no moment to shrink, even if it needs fewer workers than there are.
            target = max(need, snapshot.workers)
        else:
            target, why = self._calm(snapshot, need, why, now)
        if target > bound:
            target, why = bound, f"{snapshot.useful_why}; {why}"
        return self._within_rate(snapshot, target, need, why)

    def _within_rate(self, snapshot: Snapshot, target: int, need: int, why: str) -> Decision:
        """Returns the target, as far as creations are not too frequent; then no worker is let go that would have to be
        made again."""
        left = math.ceil(self.creations * snapshot.max_worker_count) - snapshot.created
        begun = snapshot.ready + snapshot.starting
        if target > begun + max(0, left):
            target = max(snapshot.worker_count, min(target, max(snapshot.workers, begun + max(0, left))))
            why = f"{snapshot.created} were made in 10 s, which is the most; {why}"
        elif left <= 0 and need < target < snapshot.workers <= begun:
            target, why = snapshot.workers, f"{snapshot.created} were made in 10 s, so what is there is kept; {why}"
        return Decision(target, why, need)

    def _need(self, snapshot: Snapshot) -> tuple[int, str, bool]:
        """Returns the number of workers that the load needs, the reason, and whether tasks would wait too long with the
        present workers."""
        queued = snapshot.queued
        if not queued:
            steady, why = self._steady(snapshot, snapshot.usual.service_time)
            return steady, f"nothing waits, {why}", False
        service = _service_time(snapshot)
        if service is None and _gone_before_a_creation(snapshot):
            return snapshot.running, f"{queued} wait, and are soon started: {_ages(snapshot)}", False
        if service is None:
            need = snapshot.running + queued
            return need, f"{queued} wait, {snapshot.running} run, none was completed lately", True
        steady, why = self._steady(snapshot, service)
        backlog = _backlog_after_creation(snapshot, service)
        # By the workers that are there: those that cannot be made in an outage start nothing.
        wait = backlog * service / max(1, snapshot.ready + snapshot.starting)
        if wait <= snapshot.target_wait:
            return steady, f"{queued} wait, and will be started within {duration(wait)}; {why}", False
        within = max(snapshot.target_wait, self.catch_up * (snapshot.creation_time or 0.0))
        # Short tasks share a worker within that time. Long ones need one each, but no more than there are tasks.
        need = math.ceil(min(backlog * service / within, snapshot.running + backlog))
        after = f"{duration(wait)} more when new workers are ready" if snapshot.creation_time else duration(wait)
        return max(steady, need), f"{queued} wait, and would wait {after}, which needs {need} workers; {why}", True

    def _steady(self, snapshot: Snapshot, service: float | None) -> tuple[int, str]:
        """Returns the number of workers that the arrivals need if there is no backlog, and the reason."""
        running = snapshot.running
        if service is None:
            return running, f"{running} run, none was completed lately"
        rate, bound = _arrival_rate(snapshot)
        need = workers_needed(rate * service, service, snapshot.target_wait, self.risk, snapshot.max_worker_count)
        # The number of independent (Poisson) arrivals has a standard deviation of its square root. Beyond a service
        # time it does not count: by then, the tasks that run now have released their workers.
        meanwhile = rate * min(snapshot.creation_time or 0.0, service)
        need = min(need, running + max(1, math.ceil(self.spare * math.sqrt(meanwhile))))
        if self.reserve != "none":
            peaked = max(need, self._peaked(snapshot, rate, service))
            need = peaked if self.reserve == "full" else math.ceil((need + peaked) / 2)
        return need, f"{running} run, {bound}{rate:.1f}/s arrive and take {duration(service)} each, which needs {need}"

    def _peaked(self, snapshot: Snapshot, rate: float, service: float) -> int:
        """Returns the number of workers with which hardly any task waits too long, though arrivals come in bursts."""
        # Hayward's approximation (A. Fredericks, "Congestion in blocking systems", 1980): a load with peakedness z needs z
        # times the workers that a z-th of the load needs if it arrives independently.
        peakedness = max(_SMOOTHEST, snapshot.peakedness)
        most = math.ceil(snapshot.max_worker_count / peakedness) + 1
        share = workers_needed(rate * service / peakedness, service, snapshot.target_wait, self.risk, most)
        return min(snapshot.max_worker_count, math.ceil(peakedness * share))

    def _calm(self, snapshot: Snapshot, need: int, why: str, now: float) -> tuple[int, str]:
        """Returns how many workers are worth keeping, or making before they are needed, and the reason."""
        keep, make = self._worth(snapshot, need, now)
        begun = snapshot.ready + snapshot.starting
        if make > snapshot.workers:
            return make, f"{make} are likely to be needed soon, as they were before; {why}"
        dropped = snapshot.workers - max(need, begun)
        # Without a wait: a creation that has not begun has cost nothing yet, so there is nothing to keep.
        if dropped > 0 and begun < keep:
            return snapshot.workers - dropped, f"{dropped} more are no longer needed; {why}"
        if keep < snapshot.workers:
            return keep, f"more than {keep} are not worth keeping; {why}"
        return snapshot.workers, why

    def _worth(self, snapshot: Snapshot, need: int, now: float) -> tuple[int, int]:
        """Returns how many workers are worth keeping if they are there, and how many are worth making."""
        service, creation = snapshot.usual.service_time or 0.0, snapshot.creation_time or 0.0
        price = min(self.hold_most, max(self.hold, self.hold_services * service, self.hold_creations * creation))
        keep, make = need, 0
        for place in range(min(len(snapshot.levels), snapshot.max_worker_count), need, -1):
            level = snapshot.levels[place - 1]
            idle = 0.0 if level.since is None else now - level.since  # None: it was needed at the last tick
            plan = idle_plan(level.gaps, price, creation, self.hold_most)
            if plan.makes(idle):
                make = max(make, place)
            if plan.wants(idle):
                keep = place
                break
        return keep, make


def _backlog_after_creation(snapshot: Snapshot, service: float) -> float:
    """Estimates how many tasks will wait when workers that are started now have made their resource: the queue now and
    the arrivals until then, less the tasks that the ready workers start in that time, and half as many for each worker
    that is being made."""
    ahead = snapshot.creation_time or 0.0
    if not ahead or not service:
        return float(snapshot.queued)
    # On average, a creation that is under way has half of its time to go, so its worker serves for half of it.
    servers = snapshot.ready + snapshot.starting / 2
    # In a pool that is younger than that, all arrivals may be one burst, of which the queue is what is left.
    arriving = snapshot.recent.arrival_rate if snapshot.recent.seconds >= _YOUNG else 0.0
    return max(0.0, snapshot.queued + ahead * (arriving - servers / service))


def _service_time(snapshot: Snapshot) -> float | None:
    """Returns the usual service time, unless the running tasks are so much older that it is out of date; then their age,
    which they have taken already. If the queue stalls in spite of the usual time, the recent one, provided that it is
    longer."""
    usual, recent, age = snapshot.usual.service_time, snapshot.recent.service_time, snapshot.running_age
    if usual is None:
        return None
    # After many short tasks, long ones hardly change the mean until the first of them ends; their ages show it at once.
    if age > _OLD * usual:
        return age if recent is None else max(age, recent)
    if snapshot.oldest_wait <= snapshot.target_wait:
        return usual
    # If nothing was completed in the last second, long tasks hold the workers, and the usual time is out of date.
    return None if recent is None else max(usual, recent)


def _gone_before_a_creation(snapshot: Snapshot) -> bool:
    """Returns whether tasks that have only just begun to wait will be started before a resource can be made, though none
    was completed yet by which that could be computed."""
    age, ahead = snapshot.running_age, snapshot.creation_time
    if not ahead or snapshot.oldest_wait > snapshot.target_wait:
        return False
    if snapshot.running < snapshot.ready:
        return True  # they have arrived this moment: the workers have not taken the first of them yet
    if not age or not snapshot.oldest_wait:
        return False
    # At a random moment, a task has on average run for half of its time. If they take longer after all, that shows at
    # the next tick, before any of them has waited for much longer than the target.
    return snapshot.queued * 2 * age / max(1, snapshot.ready) < ahead


def _ages(snapshot: Snapshot) -> str:
    return f"{snapshot.running} run on {snapshot.ready} workers, since {duration(snapshot.running_age)}"


def _arrival_rate(snapshot: Snapshot) -> tuple[float, str]:
    """Returns the usual rate, which is the more exact one, corrected if the recent one differs by more than chance; and
    whether that is a bound, in words."""
    usual, recent, seconds = snapshot.usual.arrival_rate, snapshot.recent.arrival_rate, snapshot.recent.seconds
    if seconds <= 0.0:
        return usual, ""
    # The number of independent (Poisson) arrivals varies by its square root; + 1 so that no arrival at all, which has
    # a deviation of 0, does not count as certain.
    chance = _DEVIATIONS * math.sqrt(recent * seconds + 1.0) / seconds
    if usual > recent + chance:
        return recent + chance, "at most "
    if usual < recent - chance:
        return recent - chance, "at least "
    return usual, ""
