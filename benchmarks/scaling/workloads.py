"""The workloads on which the rules are compared, and those that are also run for real."""

from __future__ import annotations

from dataclasses import dataclass

from tasker.simulation import arrivals, services
from tasker.simulation.creation import Creation
from tasker.simulation.rules import PoolOptions
from tasker.simulation.workload import Workload

POOL = PoolOptions(worker_count=4, max_worker_count=32, burst_interval=0.1, target_wait=0.1)
"""The options for all of them."""
SEED = 1


@dataclass(frozen=True, slots=True)
class Case:
    """A workload and, if the aim is out of reach, the reason."""

    workload: Workload
    limit: str = ""
    """Why no rule that knows only the past can reach the aim; empty if one can."""


def case(
    name: str,
    words: str,
    stream: arrivals.Arrivals,
    tasks: services.ServiceTimes,
    *,
    seconds: float = 600.0,
    creation: Creation | None = None,
    limit: str = "",
) -> Case:
    creation = creation or Creation(0.5)
    load = Workload(name=name, words=words, arrivals=stream, services=tasks, duration=seconds, creation=creation)
    return Case(load, limit)


_SHORT = services.Exponential(0.05)

CASES: tuple[Case, ...] = (
    case("constant", "200/s at equal distances, 50 ms each", arrivals.Regular(200), services.Constant(0.05)),
    case("Poisson", "200/s at random, 50 ms exponential", arrivals.Poisson(200), _SHORT),
    case(
        "square wave",
        "20/s and 400/s by turns in 60 s, 50 ms exponential",
        arrivals.square(20, 400, 60),
        _SHORT,
        limit="the rate rises twentyfold at once. The tasks that arrive from then until the first new worker is"
        " ready (a tick and a creation, 0.6 s) are 2% of all, so the 99th percentile is among those that wait for a"
        " creation. Only a pool that keeps its workers through every low half can avoid that, and that costs more"
        " than the aim allows.",
    ),
    case("ramp", "20/s to 500/s within 600 s, 50 ms exponential", arrivals.ramp(20, 500, 600), _SHORT),
    case(
        "spike after idle",
        "1/s, but 500/s from 300 s to 320 s, 50 ms exponential",
        arrivals.spike(1, 500, 300, 20),
        _SHORT,
        limit="as in the square wave: nearly 3% of all tasks arrive before a worker that is started at the first"
        " tick of the spike can be ready.",
    ),
    case(
        "diurnal",
        "20/s to 400/s along a sine of an hour, 50 ms exponential",
        arrivals.diurnal(20, 400, 3600),
        _SHORT,
        seconds=3600,
    ),
    case(
        "heavy-tailed",
        "60/s at random, 150 ms Pareto (alpha 1.5: the variance is infinite)",
        arrivals.Poisson(60),
        services.Pareto(0.15, 1.5),
        limit="a few tasks take a hundred times as long as the others and occupy their workers, at unpredictable"
        " times, so a good p99 needs idle workers in reserve. The smallest fixed pool that is good enough costs more"
        " than tasker does; that no rule at all can do it for 1.3 times the oracle's cost is likely, but not proved.",
    ),
    case(
        "long tasks",
        "2/s at random, 5 s exponential",
        arrivals.Poisson(2),
        services.Exponential(5.0),
        seconds=3600,
        limit="a task that finds no idle worker waits for a creation (0.5 s), which is longer than is good enough;"
        " so 99% of the tasks must find one, with about 10 running, give or take 3: that needs a reserve of 9, which"
        " costs more than the aim allows. Less is enough only with knowledge of the future.",
    ),
    case(
        "slow creation",
        "20/s and 400/s by turns in 120 s, 50 ms exponential; a resource takes 5 s to make",
        arrivals.square(20, 400, 120),
        _SHORT,
        creation=Creation(5.0),
        limit="as in the square wave: 8% of all tasks arrive within the 5 s that the first new worker takes to be"
        " ready.",
    ),
    case(
        "failing creation",
        "20/s and 400/s by turns in 60 s, 50 ms exponential; 30% of creations fail, all from 200 s to 230 s",
        arrivals.square(20, 400, 60),
        _SHORT,
        creation=Creation(0.5, failing=0.3, outage=(200.0, 230.0)),
        limit="the rate rises at 210 s, in the middle of the outage: no resource can be made until 230 s and the"
        " next attempt after the backoff. Only a pool that kept its workers since the rate was last high avoids that.",
    ),
    case(
        "overload",
        "20/s and 1,000/s by turns in 120 s, 50 ms exponential: the maximum of workers can do 640/s",
        arrivals.square(20, 1000, 120),
        _SHORT,
    ),
)

REAL: tuple[Workload, ...] = (
    Workload(
        name="Poisson",
        words="80/s at random, 100 ms exponential",
        arrivals=arrivals.Poisson(80),
        services=services.Exponential(0.1),
        duration=30.0,
        creation=Creation(0.5),
    ),
    Workload(
        name="square wave",
        words="10/s and 120/s by turns in 10 s, 100 ms exponential",
        arrivals=arrivals.square(10, 120, 10),
        services=services.Exponential(0.1),
        duration=30.0,
        creation=Creation(0.5),
    ),
    Workload(
        name="slow creation",
        words="10/s to 120/s along a sine of 15 s, 100 ms each; a resource takes 2 s to make",
        arrivals=arrivals.diurnal(10, 120, 15),
        services=services.Constant(0.1),
        duration=30.0,
        creation=Creation(2.0),
    ),
)
"""Half a minute each. Their tasks sleep, for long enough that a machine with few cores can keep the times."""
