"""Observing: the half of ``TaskManager`` that shows what it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from tasker.config import Config
from tasker.control.journal import ScalingExplanation
from tasker.metrics.protocol import TaskMetrics
from tasker.stats import TaskStats

if TYPE_CHECKING:
    from .engine import Engine

R = TypeVar("R")


class Observing(Generic[R]):
    """Shows. Not public: ``TaskManager`` is."""

    _config: Config[R]
    _engine: Engine

    @property
    def name(self) -> str:
        """``Config.name``."""
        return self._config.name

    @property
    def config(self) -> Config[R]:
        """The configuration that the manager was made with."""
        return self._config

    @property
    def closed(self) -> bool:
        """Whether the manager accepts no more tasks."""
        return self._engine.closed

    def stats(self) -> TaskStats:
        """Returns the numbers of workers, tasks and resources at this moment, consistent with each other. Costs
        O(workers)."""
        from tasker.core.report import stats_of  # noqa: PLC0415  as the engine

        return stats_of(self._engine)

    def metrics(self) -> TaskMetrics:
        """Returns the times, rates and totals of the tasks so far, or what ``Config.collector`` returns. Costs
        O(workers)."""
        from tasker.core.report import metrics_of  # noqa: PLC0415  as the engine

        return metrics_of(self._engine)

    def explain(self) -> ScalingExplanation:
        """Explains the present number of workers: returns the last decision of the scaling policy and the last 32
        changes, each with the figures that it was based on. ``str()`` of it is meant for people."""
        from tasker.core.report import explained  # noqa: PLC0415  as the engine

        engine = self._engine
        return explained(engine.view, engine.now(), engine.workers.values(), engine.quarantine.labels)
