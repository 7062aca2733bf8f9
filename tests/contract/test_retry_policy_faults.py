"""A retry policy, or a budget, of the user's own that raises: each task gets its outcome all the same."""

from __future__ import annotations

import random
from typing import Any

import pytest

from support.observers import RecordingLogger
from tasker import RetryBudget, RetryPolicy
from tasker.control.retry_budget import Loan


class Policy(RetryPolicy):
    """Raises where it is asked for the pause."""

    __slots__ = ()
    fault: BaseException = ValueError("policy")

    def pause(self, attempts: int, rng: random.Random) -> float:
        """Fail."""
        raise self.fault


class ExitingPolicy(Policy):
    """The same with an error that ends programs."""

    __slots__ = ()
    fault = SystemExit("policy")


class Lender(RetryBudget):
    """Raises where it is asked for tokens."""

    def borrow(self, *, timed_out: bool) -> Loan | None:
        """Fail."""
        raise SystemExit("policy")


class Giver(RetryBudget):
    """Raises where it is given tokens."""

    def give(self, tokens: int) -> None:
        """Fail."""
        raise SystemExit("policy")


OWN = ConnectionError("its own")
FAULTY: dict[str, Any] = {
    "pause": lambda: Policy(retry_on=OSError),
    "pause, SystemExit": lambda: ExitingPolicy(retry_on=OSError),
    "borrow": lambda: RetryPolicy(retry_on=OSError, budget=Lender()),
    "give": lambda: RetryPolicy(retry_on=OSError, max_retries=1, budget=Giver()),
}


@pytest.mark.parametrize("what", FAULTY)
async def test_a_task_of_the_queue(engine: Any, kit: Any, what: str) -> None:
    """It ends with its own error, the fault is logged and counted, and the pool works on."""
    logger = RecordingLogger()
    async with engine.manager(worker_count=1, max_worker_count=1, retry=FAULTY[what](), logger=logger) as m:
        assert await m.queue_task(kit.returns("value")) == "value"
        with pytest.raises(ConnectionError, match="its own"):
            await m.queue_task(kit.raises(OWN))
        assert await m.queue_task(kit.script(OWN, "value") if what == "give" else kit.returns("value")) == "value"
        kind = "ValueError" if what == "pause" else "SystemExit"
        assert f"raised {kind}: policy" in logger.text("error")
        assert m.stats().user_errors >= 1
        assert m.stats().active_workers == 1
        assert (await m.stop()).killed is False


async def test_run_task(engine: Any, kit: Any) -> None:
    """So does a call of run_task."""
    logger = RecordingLogger()
    async with engine.manager(resource_pool_size=1, logger=logger) as m:
        with pytest.raises(ConnectionError, match="its own"):
            await m.run_task(kit.raises(OWN), retry=FAULTY["pause"]())
        assert "the retry policy raised ValueError: policy" in logger.text("error")
        stats = m.stats()
        assert (stats.running_tasks, stats.done_tasks) == (0, stats.accepted_tasks)
