"""A task that runs for longer than stuck_after is logged once, with the place where it is."""

from __future__ import annotations

import re
from typing import Any

from support.observers import RecordingLogger
from support.waiting import eventually


async def test_a_long_task_is_logged_once(engine: Any, kit: Any) -> None:
    """The warning names worker, task and place; other tasks of the worker are logged again, and short ones never."""
    logger, gates = RecordingLogger(), [engine.gate(), engine.gate()]
    async with engine.manager(worker_count=1, logger=logger, stuck_after=1.0, burst_interval=0.01) as m:
        for number, gate in enumerate(gates, 1):
            future = await m.submit(kit.holds(gate))
            await gate.arrivals(1)
            # Not opened before: a child says where it is a moment later, and then it would have left that place.
            await eventually(lambda number=number: len(lines(logger)) == number)
            gate.open()
            await future
            assert await m.queue_task(kit.returns(1)) == 1
        for text in lines(logger):
            assert re.search(r"-1 has run task #\d+ .*holding for [\d.]+ seconds \(stuck_after=1\.0\); it is at", text)
        if "ray" in engine.name:
            assert re.search(r"it is at\nprocess \d+", lines(logger)[0])
        elif engine.pickles or not engine.elsewhere:
            assert "in holding" in lines(logger)[0]
            assert "worker_loop" not in lines(logger)[0]


def lines(logger: RecordingLogger) -> list[str]:
    """The warnings about long tasks."""
    return [text for level, text in logger.lines if level == "warning" and "has run" in text]
