"""The counters, interrupted at each moment. Not beside the other tests of ``core``: they run under a tracer as well, whose
calls are moments, too."""

from __future__ import annotations

from tasker.core.counters import Counters
from unit.interrupts import each_moment


def test_note_in_the_middle_of_entering() -> None:
    """A signal handler that notes and reads while notes are entered loses and doubles nothing, whenever it comes."""
    counters = Counters()

    def enter() -> None:
        counters.note("retried")
        counters.note("retried")
        counters.flow()

    def handle() -> None:
        counters.note("user_errors")
        counters.flow()

    calls = [where for where, _, _ in each_moment(enter, reenter=handle)]
    counters.flow()
    assert (counters.retried, counters.user_errors) == (2 * len(calls), len(calls) - 1)
    assert len(calls) > 10


def test_ctrl_c_while_notes_are_entered() -> None:
    """Whenever it comes, each note is entered exactly once."""
    counters, made = Counters(), 0

    def read() -> None:
        counters.flow()

    for _ in each_moment(read):
        counters.note("ended_in_queue", "cancelled_in_queue")
        counters.note("refused")
        made += 1
    counters.flow()
    assert (counters.ended_in_queue, counters.cancelled_in_queue, counters.refused) == (made, made, made)


def test_the_ledger_in_the_middle_of_an_entry() -> None:
    """A signal handler or finalizer that makes and destroys a resource in the middle of an entry loses no other entry."""
    counters = Counters()

    def handle() -> None:
        counters.resource(created=1)
        counters.resource(destroyed=1)

    calls = [where for where, _, _ in each_moment(lambda: counters.resource(created=1), reenter=handle)]
    assert (counters.ledger.created, counters.ledger.destroyed) == (2 * len(calls) - 1, len(calls) - 1)
