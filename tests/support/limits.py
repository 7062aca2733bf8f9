"""What tests of time limits have in common."""

from __future__ import annotations

from typing import Any


def opens_when_cancelled(gate: Any) -> Any:
    """A function for ``kit.both``: the cancellation opens the gate, as it would close a socket."""

    def begin(ctx: Any, resource: Any) -> None:
        ctx.on_cancel(gate.open)

    return begin


def balanced(m: Any) -> bool:
    """Whether every task or call that was accepted has its outcome, and every resource is accounted for."""
    stats, ledger = m.stats(), m.stats().resources
    known = ledger.created == ledger.destroyed + ledger.alive + ledger.lost
    return known and stats.running_tasks == 0 and stats.done_tasks == stats.accepted_tasks
