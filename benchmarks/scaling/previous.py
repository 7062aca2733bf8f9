"""The default policy before it learned from idle gaps, for comparison: it kept each worker for a fixed time, took the
service time from completions alone, and extrapolated arrivals however short the time over which they were counted."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tasker.control.scaling import Decision, Snapshot
from tasker.control.staffing import workers_needed

_DEVIATIONS = 2.0


@dataclass(frozen=True, slots=True)
class PreviousPolicy:
    """See the module's docstring. Its options were those of ``RatePolicy``, with the same defaults."""

    risk: float = 0.01
    spare: float = 1.0
    catch_up: float = 0.25
    hold: float = 1.0
    hold_services: float = 2.0
    hold_creations: float = 3.0
    hold_most: float = 60.0
    trials: bool = True

    def decide(self, snapshot: Snapshot, now: float, /) -> Decision:
        """See ``ScalingPolicy``."""
        need, why, short = self._need(snapshot)
        need = max(snapshot.worker_count, min(need, snapshot.max_worker_count))
        bound = snapshot.max_worker_count
        if self.trials and snapshot.useful is not None:
            bound = max(snapshot.worker_count, snapshot.useful)
        # Before anything else: a limit that was just found is stepped back to at once, even while tasks wait.
        if snapshot.workers > bound or (short and need > bound):
            return Decision(bound, f"{snapshot.useful_why}; {why}", need)
        if short:
            # A backlog is no moment to shrink, even if it needs fewer workers than there are.
            return Decision(max(need, snapshot.workers), why, need)
        return self._shrink(snapshot, need, why, now)

    def _need(self, snapshot: Snapshot) -> tuple[int, str, bool]:
        """Returns the number of workers that the load needs, the reason, and whether tasks would wait too long with the
        present workers."""
        queued = snapshot.queued
        if not queued:
            steady, why = self._steady(snapshot, snapshot.usual.service_time)
            return steady, f"nothing waits, {why}", False
        service = _service_time(snapshot)
        if service is None:
            need = snapshot.running + queued
            return need, f"{queued} wait, {snapshot.running} run, none was completed lately", True
        steady, why = self._steady(snapshot, service)
        backlog = _backlog_after_creation(snapshot, service)
        wait = backlog * service / max(1, snapshot.workers)
        if wait <= snapshot.target_wait:
            return steady, f"{queued} wait, and will be started within {wait:.3f} s; {why}", False
        within = max(snapshot.target_wait, self.catch_up * (snapshot.creation_time or 0.0))
        # Short tasks share a worker within that time. Long ones need one each, but no more than there are tasks.
        need = math.ceil(min(backlog * service / within, snapshot.running + backlog))
        why = f"{queued} wait, and would wait {wait:.3f} s more when new workers are ready; {why}"
        return max(steady, need), why, True

    def _steady(self, snapshot: Snapshot, service: float | None) -> tuple[int, str]:
        """Returns the number of workers that the arrivals need if there is no backlog, and the reason."""
        running = snapshot.running
        if service is None:
            return running, f"{running} run, none was completed lately"
        rate = _arrival_rate(snapshot)
        need = workers_needed(rate * service, service, snapshot.target_wait, self.risk, snapshot.max_worker_count)
        # The number of independent (Poisson) arrivals has a standard deviation of its square root. Beyond a service
        # time it does not count: by then, the tasks that run now have released their workers.
        meanwhile = rate * min(snapshot.creation_time or 0.0, service)
        need = min(need, running + max(1, math.ceil(self.spare * math.sqrt(meanwhile))))
        return need, f"{running} run, {rate:.1f}/s arrive and take {service:.3g} s each, which needs {need} workers"

    def _shrink(self, snapshot: Snapshot, need: int, why: str, now: float) -> Decision:
        """Returns the greatest need of the last seconds, but never grows."""
        service, creation = snapshot.usual.service_time or 0.0, snapshot.creation_time or 0.0
        hold = max(self.hold, self.hold_services * service, self.hold_creations * creation)
        hold = min(hold, self.hold_most)
        peak = max([need, *(count for moment, count in snapshot.peaks if now - moment < hold)])
        begun = snapshot.ready + snapshot.starting
        dropped = snapshot.workers - max(need, begun)
        # Without a wait: a creation that has not begun has cost nothing yet, so there is nothing to keep.
        if dropped > 0 and begun < peak:
            return Decision(snapshot.workers - dropped, f"{dropped} more are no longer needed; {why}", need)
        if peak < snapshot.workers:
            return Decision(peak, f"no more than {peak} were needed for {hold:.1f} s; {why}", need)
        return Decision(snapshot.workers, why, need)


def _backlog_after_creation(snapshot: Snapshot, service: float) -> float:
    """Estimates how many tasks will wait when workers that are started now have made their resource: the queue now and
    the arrivals until then, less the tasks that the ready workers start in that time, and half as many for each worker
    that is being made."""
    ahead = snapshot.creation_time or 0.0
    if not ahead or not service:
        return float(snapshot.queued)
    # On average, a creation that is under way has half of its time to go, so its worker serves for half of it.
    servers = snapshot.ready + snapshot.starting / 2
    return max(0.0, snapshot.queued + ahead * (snapshot.recent.arrival_rate - servers / service))


def _service_time(snapshot: Snapshot) -> float | None:
    """Returns the usual service time; if the queue stalls in spite of it, the recent one, provided that it is
    longer."""
    usual, recent = snapshot.usual.service_time, snapshot.recent.service_time
    if usual is None or snapshot.oldest_wait <= snapshot.target_wait:
        return usual
    # If nothing was completed in the last second, long tasks hold the workers, and the usual time is out of date.
    return None if recent is None else max(usual, recent)


def _arrival_rate(snapshot: Snapshot) -> float:
    """Returns the usual rate, which is the more exact one, corrected if the recent one differs by more than chance."""
    usual, recent, seconds = snapshot.usual.arrival_rate, snapshot.recent.arrival_rate, snapshot.recent.seconds
    if seconds <= 0.0:
        return usual
    # The number of independent (Poisson) arrivals varies by its square root; + 1 so that no arrival at all, which has
    # a deviation of 0, does not count as certain.
    chance = _DEVIATIONS * math.sqrt(recent * seconds + 1.0) / seconds
    return min(max(usual, recent - chance), recent + chance)
