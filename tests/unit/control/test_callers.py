"""Which callers of run_task may make a resource themselves while creations fail."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from tasker.control.callers import CallerGate
from tasker.control.creation import BreakerState
from tasker.control.events import CallerCreation
from tasker.control.supervisor import Supervisor
from tasker.control.view import Plan, View

ONE, OTHER = object(), object()


def view(**fields: Any) -> View:
    """What the supervisor shows."""
    return replace(Supervisor(Plan(1, 1), random.Random(1), 0.0).view(), **fields)


def is_open(failures: int = 2, known: int = 0, **fields: Any) -> View:
    """What it shows while creations fail, and the next try is due at 10."""
    fields = {"callers_probe_at": 10.0, **fields}
    return view(
        breaker=BreakerState.OPEN,
        failing_creations=failures,
        caller_creations=known,
        creation_error="no route",
        **fields,
    )


def failed(gate: CallerGate, seen: View, call: object = ONE) -> None:
    """A creation fails and is reported."""
    assert gate.ended(seen, call, 1.0, "refused") == CallerCreation(1.0, "refused")
    gate.reported("refused")


def test_all_may_while_creations_succeed() -> None:
    """Neither the question nor the answer causes an event."""
    gate = CallerGate()
    assert gate.refusal(view(), 1.0, ONE) is None
    assert gate.refusal(view(), 1.0, OTHER) is None
    assert gate.ended(view(), ONE, 1.0, None) is None


def test_one_failure_may_be_chance() -> None:
    """After one failed round every caller may still try; a success closes the breaker."""
    gate = CallerGate()
    assert gate.refusal(is_open(1), 1.0, ONE) is None
    assert gate.ended(is_open(1), ONE, 1.0, None) == CallerCreation(1.0, None)


def test_a_dependency_that_is_down_is_no_chance() -> None:
    """Where a task has said so, nobody may before the pause is over."""
    gate, seen = CallerGate(), is_open(1, dependency_down=True)
    said = "what resources depend on is down: no route; the next try is in 2.50 s"
    assert gate.refusal(seen, 7.5, ONE) == said
    assert gate.refusal(seen, 10.0, ONE) is None


def test_more_failures_are_none() -> None:
    """Then nobody may before the pause is over, and the refusal has the numbers."""
    said = "2 creations in a row have failed, last with no route; the next try is in 2.50 s"
    assert CallerGate().refusal(is_open(), 7.5, ONE) == said


def test_one_caller_probes() -> None:
    """After the pause one caller may, and the others wait for what it finds out."""
    gate = CallerGate()
    seen = is_open()
    assert gate.refusal(seen, 10.0, ONE) is None
    said = "2 creations in a row have failed, last with no route; another one is to be tried first"
    assert gate.refusal(seen, 10.1, OTHER) == said
    failed(gate, seen)
    assert gate.refusal(seen, 10.2, OTHER) is not None, "the supervisor does not know yet"
    assert gate.refusal(is_open(3, known=1, callers_probe_at=10.1), 10.2, OTHER) is None


def test_a_success_lets_all_through_at_once() -> None:
    """Callers do not wait until the supervisor has heard of the probe's success; a new outage is another matter."""
    gate = CallerGate()
    seen = is_open()
    gate.refusal(seen, 10.0, ONE)
    assert gate.ended(seen, ONE, 10.0, None) == CallerCreation(10.0, None)
    assert [gate.refusal(seen, 10.1, call) for call in (ONE, OTHER)] == [None, None]
    assert gate.refusal(is_open(callers_probe_at=20.0), 10.2, ONE) is not None


def test_an_interrupted_probe_is_none() -> None:
    """A call that has not come to an end gives the next one the chance; one that was not the probe gives nothing."""
    gate = CallerGate()
    gate.refusal(is_open(), 10.0, ONE)
    gate.dropped(OTHER)
    assert gate.refusal(is_open(), 10.0, OTHER) is not None
    gate.dropped(ONE)
    gate.dropped(ONE)
    assert gate.refusal(is_open(), 10.0, OTHER) is None


def test_workers_probe_first() -> None:
    """Where a worker is missing, it is the probe, and callers are refused as long as that takes."""
    gate = CallerGate()
    said = gate.refusal(is_open(callers_probe_at=None, next_creation=12.0), 10.0, ONE)
    assert said == "2 creations in a row have failed, last with no route; the next try is in 2.00 s"
    assert gate.refusal(is_open(callers_probe_at=None), 10.0, ONE) is not None


def test_failures_that_the_supervisor_does_not_know_yet() -> None:
    """A caller that tries again and again is refused although the supervisor has had no time."""
    gate = CallerGate()
    assert gate.refusal(view(), 1.0, ONE) is None
    failed(gate, view())
    assert gate.refusal(view(), 1.0, ONE) is None
    failed(gate, view())
    said = "2 creations in a row have failed, last with refused; another one is to be tried first"
    assert gate.refusal(view(), 1.0, ONE) == said


def test_a_success_between_two_failures() -> None:
    """The supervisor is slow. Two failures with a success between them are not two in a row, whatever it has seen of them; and
    the success is reported, although it shows a closed breaker."""
    gate = CallerGate()
    failed(gate, view())
    assert gate.ended(view(), ONE, 1.0, None) == CallerCreation(1.0, None)
    gate.reported(None)
    failed(gate, view())
    assert gate.refusal(view(), 1.0, ONE) is None
    assert gate.refusal(is_open(1, known=1), 1.0, ONE) is None
    assert gate.refusal(view(caller_creations=2), 1.0, ONE) is None
    assert gate.refusal(is_open(1, known=3), 1.0, ONE) is None
    failed(gate, is_open(1, known=3))
    assert gate.refusal(is_open(1, known=3), 1.0, ONE) is not None
    assert gate.refusal(is_open(2, known=5), 1.0, ONE) is not None, "an interrupted report changes nothing"
