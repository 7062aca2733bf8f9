"""Races: contestants that do the same work, one after the other, round by round (A B C, A B C, ...).

A slow moment of the machine so falls on all of them, and what is compared is what happened in the same round: a ratio
is the median of the ratios of the rounds, not the ratio of two medians. The garbage collector is on, as it is for
users, and everything is collected before each run.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles

SUBJECT = "tasker"


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done: ``make bench``, ``make bench-long``, ``make bench-free-threaded``, or the tests, which only want to
    see it run."""

    name: str
    scale: float = 1.0
    most_rounds: int = 100
    most_workers: int = 1000

    @property
    def long(self) -> bool:
        return self.name == "long"

    @property
    def free_threaded(self) -> bool:
        return self.name == "free-threaded"

    def count(self, tasks: int, least: int = 8) -> int:
        """The number of tasks to run where ``make bench`` runs ``tasks``."""
        return max(least, int(tasks * self.scale))

    def workers(self, number: int) -> int:
        """The number of workers where ``make bench`` has ``number``."""
        return min(number, self.most_workers)

    def rounds(self, number: int) -> int:
        """The number of rounds where ``make bench`` goes through ``number``."""
        return min(number, self.most_rounds)


NORMAL = Size("normal")
LONG = Size("long")
FREE_THREADED = Size("free-threaded")
TINY = Size("tiny", scale=0.0005, most_rounds=1, most_workers=6)


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that a run gives."""

    key: str
    label: str
    unit: str
    more_is_better: bool = False


RATE = Figure("rate", "tasks/s", "/s", more_is_better=True)


@dataclass(frozen=True, slots=True)
class Contestant:
    """A name, and one run, which gives a value for each figure of its race. A remark says what to know of it."""

    name: str
    run: Callable[[], Mapping[str, float]]
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Absent:
    """Who does not take part, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A row of the table of targets: what is measured, round by round, and the bound that its median has to keep."""

    what: str
    target: str
    samples: Callable[[Outcome], list[float]]
    at_least: float | None = None
    at_most: float | None = None
    unit: str = "x"


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """Contestants, the work they do, and how it is judged."""

    key: str
    title: str
    work: str
    figures: Sequence[Figure]
    contestants: Sequence[Contestant]
    rounds: int
    claims: Sequence[Claim] = ()
    absent: Sequence[Absent] = ()
    weight: float = 1.0
    """Its share of the time, where that is short."""
    least: int = 3
    """The rounds that are run even if they take longer than that."""
    down: bool = False
    """Whether the table has a line for each figure, not for each contestant."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and quartiles."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values: Sequence[float]) -> Spread:
        if len(values) < 2:
            return Spread(values[0], values[0], values[0])
        low, middle, high = quantiles(values, n=4, method="inclusive")
        return Spread(middle, low, high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A claim, judged."""

    what: str
    target: str
    measured: Spread
    bound: float
    met: bool
    unit: str

    @property
    def close(self) -> bool:
        """Whether the bound lies within the spread, so that another run may say otherwise."""
        return self.measured.low < self.bound < self.measured.high


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of a race: plain data."""

    key: str
    topic: str
    title: str
    work: str
    down: bool
    figures: list[Figure]
    rounds: int = 0
    wanted_rounds: int = 0
    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """By contestant and figure, one for each round."""
    remarks: dict[str, str] = field(default_factory=dict)
    absent: list[Absent] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    unjudged: list[list[str]] = field(default_factory=list)
    """What was claimed, and the target, where who it speaks of was not there."""

    def of(self, contestant: str, figure: str = "rate") -> list[float]:
        """A contestant's values, round by round."""
        return self.values[contestant][figure]

    def ratio(self, one: str, other: str, figure: str = "rate") -> list[float]:
        """``one`` divided by ``other``, round by round."""
        return [a / b for a, b in zip(self.of(one, figure), self.of(other, figure), strict=True) if b]

    def advantage(self, one: str, other: str, figure: Figure) -> list[float]:
        """How many times better ``one`` is than ``other``, round by round; below 1 it is worse."""
        return self.ratio(one, other, figure.key) if figure.more_is_better else self.ratio(other, one, figure.key)


def advantage(other: str, figure: Figure = RATE, one: str = SUBJECT) -> Callable[[Outcome], list[float]]:
    """For a claim: how many times better tasker is than ``other``."""
    return lambda outcome: outcome.advantage(one, other, figure)


def run(race: Race, topic: str, seconds: float, say: Callable[[str], None] = lambda text: None) -> Outcome:
    """Runs a race: up to its number of rounds, but only its least once ``seconds`` are used up, and one if there are
    none."""
    outcome = Outcome(
        key=race.key,
        topic=topic,
        title=race.title,
        work=race.work,
        down=race.down,
        figures=list(race.figures),
        wanted_rounds=race.rounds,
        remarks={c.name: c.remark for c in race.contestants if c.remark},
        absent=list(race.absent),
    )
    began = time.perf_counter()
    for number in range(1, race.rounds + 1):
        for contestant in race.contestants:
            _one_run(contestant, outcome)
        outcome.rounds = number
        used = time.perf_counter() - began
        if number >= (race.least if seconds > 0 else 1) and used * (number + 1) / number > seconds:
            break
    say(f"{outcome.rounds} rounds in {time.perf_counter() - began:.1f} s")
    for claim in race.claims:
        verdict = _judge(claim, outcome)
        if verdict is None:
            outcome.unjudged.append([claim.what, claim.target])
        else:
            outcome.verdicts.append(verdict)
    return outcome


def _one_run(contestant: Contestant, outcome: Outcome) -> None:
    """A contestant that fails once is out, with its reason; the others go on."""
    if contestant.name in outcome.failed:
        return
    gc.collect()
    try:
        figures = contestant.run()
    except Exception as error:
        outcome.failed[contestant.name] = f"{type(error).__name__}: {error}"
        outcome.values.pop(contestant.name, None)
        return
    kept = outcome.values.setdefault(contestant.name, {})
    for key, value in figures.items():
        kept.setdefault(key, []).append(value)


def _judge(claim: Claim, outcome: Outcome) -> Verdict | None:
    """None where a contestant it speaks of is not there."""
    try:
        samples = claim.samples(outcome)
    except KeyError:
        return None
    if not samples:
        return None
    middle = median(samples)
    if claim.at_least is not None:
        bound, met = claim.at_least, middle >= claim.at_least
    else:
        assert claim.at_most is not None
        bound, met = claim.at_most, middle <= claim.at_most
    return Verdict(
        what=claim.what, target=claim.target, measured=Spread.of(samples), bound=bound, met=met, unit=claim.unit
    )


def run_all(
    races: Sequence[tuple[str, Race]], minutes: float, say: Callable[[str], None] = lambda text: None
) -> list[Outcome]:
    """Runs all; each race may use its share of the time that is left, by weight."""
    deadline = time.perf_counter() + 60 * minutes
    weights = [race.weight for _, race in races]
    outcomes = []
    for place, (topic, race) in enumerate(races):
        left = max(0.0, deadline - time.perf_counter())
        say(f"[{place + 1}/{len(races)}] {topic}: {race.title}")
        outcomes.append(run(race, topic, left * weights[place] / sum(weights[place:]), lambda text: say(f"    {text}")))
    return outcomes
