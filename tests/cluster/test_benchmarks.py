"""The benchmarks over Ray run, with tiny sizes. What they measure is not looked at here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import report, runner
from benchmarks.runner import RAY, TINY
from benchmarks.store import Run
from benchmarks.topics import RAY as TOPICS
from benchmarks.topics import races, topics

TINY_RAY = replace(TINY, name=RAY.name)


@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("default")  # what a peer's code warns of is not ours to fix
@pytest.mark.parametrize("topic", TOPICS)
def test_topic(topic: str) -> None:
    """Each contestant that is installed does its work, and tasker loses no task."""
    assert topic in topics(TINY_RAY)
    outcomes = [runner.run(race, topic, seconds=0) for race in races(topic, TINY_RAY)]
    for outcome in outcomes:
        assert not outcome.failed
        assert all(set(figures) == {figure.key for figure in outcome.figures} for figures in outcome.values.values())
    assert all(
        verdict.met
        for outcome in outcomes
        for verdict in outcome.verdicts
        if outcome.key in ("lost-actors", "lost-nodes")
    )
    text = report.text(None, [Run(name=RAY.name, machine={}, outcomes=outcomes)], [])
    assert all(f"#### {outcome.title}" in text for outcome in outcomes)
