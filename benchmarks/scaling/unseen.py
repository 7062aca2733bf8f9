"""Workloads on which no rule was tuned: as real traces are, bursty at several time scales."""

from __future__ import annotations

from benchmarks.scaling.workloads import Case, case
from tasker.simulation import arrivals_bursty as bursty
from tasker.simulation import services
from tasker.simulation.arrivals import Poisson, spike, square
from tasker.simulation.creation import Creation

_SHORT = services.Exponential(0.05)

UNSEEN: tuple[Case, ...] = (
    case(
        "azure-like",
        "300 functions, 90/s in all: users, timers at full quarter minutes, bursts; 80 ms log-normal (sigma 1.2)",
        bursty.Functions(300, 90.0),
        services.LogNormal(0.08, 1.2),
        seconds=600,
    ),
    case(
        "noisy diurnal",
        "20/s to 350/s along a sine of 10 minutes, times a log-normal factor of 0.35 each 10 s; 50 ms exponential",
        bursty.noisy_diurnal(20, 350, 600, 0.35, 7),
        _SHORT,
        seconds=900,
    ),
    case(
        "flash crowd",
        "20/s, from 200 s on up to 550/s within 5 s, and down by a factor of e each 60 s; 50 ms exponential",
        bursty.flash_crowd(20, 550, 200, 5, 60),
        _SHORT,
    ),
    case(
        "MMPP",
        "30/s, 120/s and 400/s at random, for 20 s on average each; 50 ms exponential",
        bursty.MarkovModulated(((30, 20.0), (120, 20.0), (400, 20.0))),
        _SHORT,
        seconds=600,
    ),
    case(
        "fast MMPP",
        "40/s and 300/s at random, for 1.5 s and 0.7 s on average; 50 ms exponential",
        bursty.MarkovModulated(((40, 1.5), (300, 0.7))),
        _SHORT,
    ),
    case(
        "self-similar",
        "40 sources of 8/s that are on and off for Pareto distributed times (alpha 1.4, mean 3 s); 60 ms log-normal",
        bursty.OnOffSources(40, 8.0, 3.0),
        services.LogNormal(0.06, 1.0),
    ),
    case(
        "Pareto service",
        "100/s at random, 100 ms Pareto (alpha 1.7)",
        Poisson(100),
        services.Pareto(0.1, 1.7),
    ),
    case(
        "sawtooth",
        "5/s to 500/s within 10 s, then back at once; 50 ms exponential",
        bursty.sawtooth(5, 500, 10),
        _SHORT,
        seconds=600,
    ),
    case(
        "slow sawtooth",
        "5/s to 450/s within 150 s, then back at once; 50 ms exponential",
        bursty.sawtooth(5, 450, 150),
        _SHORT,
        seconds=600,
    ),
    case(
        "blinking",
        "3/s and 350/s by turns in 4 s, 50 ms each",
        square(3, 350, 4),
        services.Constant(0.05),
    ),
    case(
        "slow creation, bursts",
        "30/s and 250/s at random, for 40 s and 10 s on average; 60 ms exponential; a resource takes 4 s to make",
        bursty.MarkovModulated(((30, 40.0), (250, 10.0))),
        services.Exponential(0.06),
        seconds=900,
        creation=Creation(4.0),
    ),
    case(
        "blip",
        "10/s, but 350/s from 100 s on for 60 s; every creation fails from 99.9 s to 100.9 s; 50 ms exponential",
        spike(10, 350, 100, 60),
        _SHORT,
        seconds=300,
        creation=Creation(0.3, outage=(99.9, 100.9)),
    ),
    case(
        "rare and long",
        "0.4/s at random, in bursts; 6 s log-normal (sigma 0.8); a resource takes 2 s to make",
        bursty.MarkovModulated(((0.15, 60.0), (2.5, 10.0))),
        services.LogNormal(6.0, 0.8),
        seconds=1800,
        creation=Creation(2.0),
    ),
)
