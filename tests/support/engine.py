"""Engine: what the contract needs of an engine, or of a backend, to run over it.

How to plug in another one is described in `tests/README.md`. `stats()`, `metrics()`, `closed` and what a future answers
without waiting are plain calls; whatever may wait is awaitable, over a blocking engine too.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

from support.gates import Gate
from support.resources import ScriptedResources
from tasker import ResourceLedger, TaskStats


class Watch:
    """What a sampler of `stats()` found: violations, and the number of samples."""

    def __init__(self) -> None:
        self.looks = 0
        self.violations: list[str] = []


class Engine(abc.ABC):
    """Makes managers for one test and audits them afterwards."""

    name: str
    kit: Any
    exceptions: ClassVar[dict[str, str]] = {}
    """What does not apply to this engine: the name of a test function or of a test module, and the reason."""
    blocking: ClassVar[bool] = False
    """Whether the raw manager's methods block, and may be called from any thread."""

    pickles: ClassVar[bool] = False
    """Whether tasks, results and errors are pickled on their way."""

    elsewhere: ClassVar[bool] = False
    """Whether resources live behind the sessions of a backend, where no manager is."""

    tells_progress: ClassVar[bool] = True
    """Whether what a task says of its progress reaches the manager."""

    def __init__(self) -> None:
        self._gates: list[Gate] = []

    @classmethod
    def exception(cls, module: str, function: str) -> str | None:
        """Return why a test does not apply; None if it does."""
        return cls.exceptions.get(function) or cls.exceptions.get(module.rpartition(".")[2])

    def gate(self) -> Gate:
        """A gate that opens at the end of the test at the latest, so that no test leaves a task that hangs."""
        gate = Gate()
        self._gates.append(gate)
        return gate

    def open_gates(self) -> None:
        """Open every gate of the test."""
        for gate in self._gates:
            gate.open()

    def same(self, got: Any, meant: Any) -> bool:
        """Whether `got`, which came out of a manager, is `meant`, which went in: the very object, if nothing is pickled."""
        return got is meant

    def ledger_is_complete(self, raw: Any, resources: ScriptedResources | None, killed: bool) -> bool:
        """Whether the ledger counts everything that was made."""
        return resources is None or raw.stats().resources.created == len(resources.created)

    def check_ledger(self, ledger: ResourceLedger, resources: ScriptedResources | None, killed: bool) -> None:
        """Assert that the ledger of a manager that has ended is right."""
        assert ledger.created == ledger.destroyed + ledger.alive + ledger.lost, ledger
        assert ledger.lost == 0, ledger
        if resources is not None:
            assert ledger.created == len(resources.created), ledger
            resources.check_all_ended_once()

    @abc.abstractmethod
    def manager(self, **config: Any) -> AbstractAsyncContextManager[Any]:
        """A manager, to be entered; `resources=` takes a ScriptedResources.

        By default it has one worker, can't grow and has no pool for `run_task`, so that tests are deterministic; a test that
        needs more says so.
        """

    @abc.abstractmethod
    def watching(self, manager: Any, check: Callable[[TaskStats], str | None]) -> AbstractAsyncContextManager[Watch]:
        """Sample `stats()` as fast as possible meanwhile; `check` returns what is wrong with a sample, or None."""

    @abc.abstractmethod
    def inside_task(self, manager: Any, fn: Callable[..., Any]) -> Callable[..., Any]:
        """A task that uses the manager that runs it: awaits `fn(own, *args)`, where `own` is an OwnManager."""

    @abc.abstractmethod
    def inside_hook(self, managers: list[Any], fn: Callable[..., Any]) -> Callable[..., Any]:
        """A hook or callback that uses the manager that calls it, `managers[0]`: awaits `fn(own)` with an OwnManager."""

    @abc.abstractmethod
    def audit(self) -> None:
        """At teardown: end what still lives, then assert that nothing leaked."""
