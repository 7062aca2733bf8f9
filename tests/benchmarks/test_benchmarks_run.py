"""The benchmarks run: each with tiny sizes, so that it can't rot. What they measure is not looked at here."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import __main__ as suite
from benchmarks import peers, report, runner
from benchmarks.runner import (
    FREE_THREADED,
    LONG,
    RATE,
    SUBJECT,
    TINY,
    Absent,
    Claim,
    Contestant,
    Outcome,
    Race,
    Spread,
    advantage,
)
from benchmarks.store import Run
from benchmarks.topics import LONG as LONG_TOPICS
from benchmarks.topics import TOPICS, races, topics

TINY_LONG = replace(LONG, scale=TINY.scale, most_rounds=1, most_workers=TINY.most_workers)
TINY_FREE = replace(TINY, name=FREE_THREADED.name)


@pytest.fixture(autouse=True)
def _peers_may_warn() -> Iterator[None]:
    """What a peer's code warns of (forks, old interfaces) is not ours to fix."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        yield


def went_through(race: Race, topic: str) -> Outcome:
    outcome = runner.run(race, topic, seconds=0)
    assert not outcome.failed
    assert list(outcome.values) == [contestant.name for contestant in race.contestants]
    for figures in outcome.values.values():
        assert set(figures) == {figure.key for figure in race.figures}
        assert all(len(values) == outcome.rounds == 1 for values in figures.values())
    return outcome


@pytest.mark.parametrize("topic", TOPICS)
def test_topic(topic: str) -> None:
    """Each contestant that is installed does its work, and each table can be written."""
    made = races(topic, TINY)
    assert made
    for race in made:
        outcome = went_through(race, topic)
        assert f"### {race.title}" in report.table(outcome)
        there = {absent.name for absent in race.absent}
        if not there:
            assert len(outcome.verdicts) == len(race.claims)


@pytest.mark.parametrize("topic", LONG_TOPICS)
def test_long_topic(topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The races of `make bench-long` can be made (they run for minutes: only their making is tested)."""
    assert races(topic, TINY_LONG)


@pytest.mark.parametrize("topic", topics(TINY_FREE))
def test_free_threaded_topic(topic: str) -> None:
    """The races of `make bench-free-threaded` run on any interpreter, with a section of their own."""
    outcomes = [went_through(race, topic) for race in races(topic, TINY_FREE)]
    text = report.text(None, [Run(name=TINY_FREE.name, machine={}, outcomes=outcomes)], [])
    assert "## Without the GIL" in text
    assert all(f"#### {outcome.title}" in text for outcome in outcomes)


def test_a_peer_that_is_not_named_as_its_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked up, and said to be missing, by the name under which it is installed."""
    monkeypatch.setattr(peers.metadata, "version", lambda name: f"of {name}")
    assert peers.versions()["deadpool"] == "of deadpool-executor"
    monkeypatch.setitem(sys.modules, "deadpool", None)
    assert peers.absent("deadpool")[0].why.startswith("deadpool-executor is not installed")


def test_every_title_is_its_own() -> None:
    """A reader, and a file, can tell the races apart."""
    made = [race for topic in TOPICS for race in races(topic, TINY)]
    for names in ([race.key for race in made], [race.title for race in made]):
        assert len(set(names)) == len(names)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It writes values, report and plots; a topic run again replaces its old values and no others."""
    arguments = ["--size", "tiny", "--output", str(tmp_path)]
    assert suite.main([*arguments, "--only", "run_task", "mixed"]) == 0
    first = Run.load(tmp_path / "results", "tiny")
    assert suite.main([*arguments, "--only", "run_task"]) == 0
    second = Run.load(tmp_path / "results", "tiny")
    assert first is not None and second is not None
    assert [one.key for one in second.outcomes] == [one.key for one in first.outcomes]
    assert second.outcomes[-1] == first.outcomes[-1]
    text = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    assert "| run_task with a pooled resource | under 3 us over the bare call |" in text
    assert str(tmp_path / "RESULTS.md") in capsys.readouterr().out


# -- the runner -------------------------------------------------------------------------------------------------------


def race(*contestants: Contestant, rounds: int = 3, claims: tuple[Claim, ...] = ()) -> Race:
    return Race(key="k", title="T", work="W.", figures=[RATE], contestants=contestants, rounds=rounds, claims=claims)


def scripted(name: str, values: list[float], order: list[str]) -> Contestant:
    left = iter(values)

    def run() -> dict[str, float]:
        order.append(name)
        return {"rate": next(left)}

    return Contestant(name, run)


def test_rounds_are_interleaved() -> None:
    """A B A B, not A A B B."""
    order: list[str] = []
    a, b = scripted(SUBJECT, [4, 40, 400], order), scripted("b", [2, 20, 200], order)
    outcome = runner.run(race(a, b), "threads", 60)
    assert order == [SUBJECT, "b"] * 3
    assert outcome.ratio(SUBJECT, "b") == [2, 2, 2]


def test_a_contestant_that_fails_is_out_and_named() -> None:
    """The others go on; claims about it are not judged; the report tells why."""
    order: list[str] = []
    broken = Contestant("broken", lambda: {"rate": 1 / 0})
    claims = (Claim("c", "t", advantage("broken"), at_least=1.0),)
    outcome = runner.run(race(broken, scripted(SUBJECT, [1, 2, 3], order), claims=claims), "threads", 60)
    assert outcome.failed == {"broken": "ZeroDivisionError: division by zero"}
    assert outcome.of(SUBJECT) == [1, 2, 3]
    assert (outcome.verdicts, outcome.unjudged) == ([], [["c", "t"]])
    run = Run(name="normal", machine={}, outcomes=[outcome])
    text = report.text(run, [], [])
    assert "**broken failed** in *T*: ZeroDivisionError" in text


def test_no_time_left() -> None:
    """Three rounds are run all the same, and the report says that it was cut short."""
    order: list[str] = []
    outcome = runner.run(race(scripted(SUBJECT, [1] * 9, order), rounds=9), "threads", 1e-9)
    assert outcome.rounds == 3
    assert "3 rounds (fewer than planned" in report.table(outcome)


@pytest.mark.parametrize(("bound", "word"), [(1.9, "met"), (2.1, "**MISSED**")])
def test_a_target_is_met_or_missed(bound: float, word: str) -> None:
    """By the median of the rounds; the table of targets says so."""
    order: list[str] = []
    a, b = scripted(SUBJECT, [2, 4, 6], order), scripted("b", [1, 2, 3], order)
    claims = (Claim("no-op", "so much", advantage("b"), at_least=bound),)
    outcome = runner.run(race(a, b, claims=claims), "threads", 60)
    assert f"| no-op | so much | 2.00x | {word} |" in report.text(
        Run(name="normal", machine={}, outcomes=[outcome]), [], []
    )


def test_close_when_the_bound_lies_within_the_quartiles() -> None:
    verdict = runner.Verdict(what="", target="", measured=Spread(2.0, 1.5, 2.5), bound=1.8, met=True, unit="x")
    assert report.word(verdict) == "met (close)"


def test_values_survive_the_file(tmp_path: Path) -> None:
    """What is stored is what is reported."""
    order: list[str] = []
    claims = (Claim("c", "t", lambda outcome: outcome.of(SUBJECT), at_most=5.0),)
    outcome = runner.run(race(scripted(SUBJECT, [1, 2, 3], order), claims=claims), "threads", 60)
    outcome.absent.append(Absent("peer", "not installed"))
    run = Run(name="normal", machine={"date": "today"}, outcomes=[outcome])
    run.save(tmp_path)
    assert Run.load(tmp_path, "normal") == run
    assert Run.load(tmp_path, "long") is None
