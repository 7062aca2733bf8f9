"""The number of workers that a load needs so that few tasks wait long: the M/M/n queue (Erlang C).

A load of ``load`` workers arrives (arrival rate times service time, Little's law). With no more workers than that, the
queue grows without end. A. K. Erlang computed how many more keep the wait short ("Solution of some problems in the
theory of probabilities of significance in automatic telephone exchanges", 1917). It comes to a multiple of the square
root of the load (S. Halfin and W. Whitt, "Heavy-traffic limits for queues with many exponential servers", 1981): large
pools need relatively fewer spare workers than small ones.
"""

from __future__ import annotations

import math


def workers_needed(load: float, service_time: float, wait: float, risk: float, most: int) -> int:
    """Returns the fewest workers with which at most a share ``risk`` of the tasks waits longer than ``wait`` seconds;
    ``most`` if that takes more. ``service_time`` is in seconds. Costs O(result)."""
    if load <= 0.0 or service_time <= 0.0:
        return 0
    blocked = 1.0
    for workers in range(1, most):
        # Erlang B, the probability that all workers are busy where no task waits, as a recursion in their number: the
        # closed formula has powers and factorials, which overflow for a large load.
        blocked = load * blocked / (workers + load * blocked)
        spare = workers - load
        if spare > 0.0:
            # Erlang C, the probability that a task has to wait, from Erlang B; the wait of those that do is
            # exponential, so it exceeds t with probability C * exp(-(n - load) * t / service_time).
            waits = blocked * workers / (workers - load * (1.0 - blocked))
            if waits * math.exp(-spare * wait / service_time) <= risk:
                return workers
    return most
