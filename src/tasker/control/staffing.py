"""How many workers a load needs, so that hardly a task waits for long: the M/M/n queue (Erlang C).

``load`` workers' worth of work arrives (arrival rate times service time, Little's law). With no more workers than that
the queue grows without end; how many more keep the wait short is what A. K. Erlang computed ("Solution of some problems
in the theory of probabilities of significance in automatic telephone exchanges", 1917). It comes to about the square
root of the load (S. Halfin and W. Whitt, "Heavy-traffic limits for queues with many exponential servers", 1981): large
pools need relatively fewer spare workers than small ones.
"""

from __future__ import annotations

import math


def workers_needed(load: float, service_time: float, wait: float, risk: float, most: int) -> int:
    """The fewest workers with which at most a share ``risk`` of the tasks waits longer than ``wait`` seconds; ``most``
    if that takes more. Costs O(answer).

    The probability that all n workers are busy, C(n, load), comes from the recursion of Erlang's loss formula, which is
    stable for any load; a task then waits longer than t with probability C * exp(-(n - load) * t / service_time).
    """
    if load <= 0.0 or service_time <= 0.0:
        return 0
    blocked = 1.0
    for workers in range(1, most):
        blocked = load * blocked / (workers + load * blocked)
        spare = workers - load
        if spare > 0.0:
            waits = blocked * workers / (workers - load * (1.0 - blocked))
            if waits * math.exp(-spare * wait / service_time) <= risk:
                return workers
    return most
