"""Races: contestants that do the same work, one after the other, round by round (A B C, A B C, ...).

So a slow moment of the machine affects all of them, and results are compared within a round: a ratio is the median of
the ratios of the rounds, not the ratio of two medians. The garbage collector is on, as it is for users; it runs before
each run.
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
    """The amount of work: that of ``make bench``, ``make bench-long``, ``make bench-free-threaded`` or ``make bench-ray``, or
    as little as the tests of the suite need."""

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
        """Returns the number of tasks, where ``make bench`` runs ``tasks``."""
        return max(least, int(tasks * self.scale))

    def workers(self, number: int) -> int:
        """Returns the number of workers, where ``make bench`` has ``number``."""
        return min(number, self.most_workers)

    def rounds(self, number: int) -> int:
        """Returns the number of rounds, where ``make bench`` runs ``number``."""
        return min(number, self.most_rounds)


NORMAL = Size("normal")
LONG = Size("long")
FREE_THREADED = Size("free-threaded")
RAY = Size("ray")
TINY = Size("tiny", scale=0.0005, most_rounds=1, most_workers=6)


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that a run measures."""

    key: str
    label: str
    unit: str
    more_is_better: bool = False


RATE = Figure("rate", "tasks/s", "/s", more_is_better=True)


@dataclass(frozen=True, slots=True)
class Contestant:
    """A name, a function that runs once and returns a value for each figure of the race, and a remark for readers."""

    name: str
    run: Callable[[], Mapping[str, float]]
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Absent:
    """A contestant that does not take part, and the reason."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A target: what is measured, round by round, and the bound for the median."""

    what: str
    target: str
    samples: Callable[[Outcome], list[float]]
    at_least: float | None = None
    at_most: float | None = None
    unit: str = "x"


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """Contestants, their work, and the targets by which it is judged."""

    key: str
    title: str
    work: str
    figures: Sequence[Figure]
    contestants: Sequence[Contestant]
    rounds: int
    claims: Sequence[Claim] = ()
    absent: Sequence[Absent] = ()
    weight: float = 1.0
    """Its share of the time, if that is short, relative to other races."""
    least: int = 3
    """The rounds that are run even if they take longer than its share."""
    down: bool = False
    """Whether the table has a line for each figure instead of one for each contestant."""


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
    """The result of a claim."""

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
    """The results of a race, as plain data."""

    key: str
    topic: str
    title: str
    work: str
    down: bool
    figures: list[Figure]
    rounds: int = 0
    wanted_rounds: int = 0
    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """By contestant and figure, one value for each round."""
    remarks: dict[str, str] = field(default_factory=dict)
    absent: list[Absent] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    unjudged: list[list[str]] = field(default_factory=list)
    """[what, target] of each claim about a contestant that did not take part."""

    def of(self, contestant: str, figure: str = "rate") -> list[float]:
        """Returns a contestant's values, round by round."""
        return self.values[contestant][figure]

    def ratio(self, one: str, other: str, figure: str = "rate") -> list[float]:
        """Returns ``one`` divided by ``other``, round by round."""
        return [a / b for a, b in zip(self.of(one, figure), self.of(other, figure), strict=True) if b]

    def advantage(self, one: str, other: str, figure: Figure) -> list[float]:
        """Returns how many times better ``one`` is than ``other``, round by round; below 1, it is worse."""
        return self.ratio(one, other, figure.key) if figure.more_is_better else self.ratio(other, one, figure.key)


def advantage(other: str, figure: Figure = RATE, one: str = SUBJECT) -> Callable[[Outcome], list[float]]:
    """Returns the samples of a claim: how many times better tasker is than ``other``."""
    return lambda outcome: outcome.advantage(one, other, figure)


def run(race: Race, topic: str, seconds: float, say: Callable[[str], None] = lambda text: None) -> Outcome:
    """Runs all rounds of a race; once ``seconds`` are used up, only those below ``race.least``, and one if ``seconds``
    is 0."""
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
        # Stops if the next round, of average length, would not fit.
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
    """Runs a contestant once. If it fails, it is out, with the reason; the others go on."""
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
    """Returns None if a contestant that the claim is about did not take part."""
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
    """Runs all races; each may use its share, by weight, of the time that is left."""
    deadline = time.perf_counter() + 60 * minutes
    weights = [race.weight for _, race in races]
    outcomes = []
    for place, (topic, race) in enumerate(races):
        left = max(0.0, deadline - time.perf_counter())
        say(f"[{place + 1}/{len(races)}] {topic}: {race.title}")
        outcomes.append(run(race, topic, left * weights[place] / sum(weights[place:]), lambda text: say(f"    {text}")))
    return outcomes
