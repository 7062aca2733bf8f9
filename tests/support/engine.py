"""What an engine must bring so that the contract can run over it.

To plug one in: subclass `Engine`, write the adapter of its manager and its kit, and add it to
`ENGINES` in `contract/conftest.py`. `stats()`, `metrics()`, `closed` and what a future answers
without waiting stay plain calls; everything that may wait is awaitable.
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
    """Violations found by a sampler of `stats()`, and how often it looked."""

    def __init__(self) -> None:
        self.looks = 0
        self.violations: list[str] = []


class Engine(abc.ABC):
    """Makes managers for one test and audits them afterwards."""

    name: str
    kit: Any
    exceptions: ClassVar[dict[str, str]] = {}
    """Tests of the contract that do not apply, each with the reason."""
    blocking: ClassVar[bool] = False
    """Whether the raw manager's methods block, and may be called from any thread."""

    def __init__(self) -> None:
        self._gates: list[Gate] = []

    def gate(self) -> Gate:
        """A gate that opens by itself at the end of the test, so that no test leaves a hung task."""
        gate = Gate()
        self._gates.append(gate)
        return gate

    def open_gates(self) -> None:
        """Let everybody through."""
        for gate in self._gates:
            gate.open()

    def same(self, got: Any, meant: Any) -> bool:
        """Whether what came out of a manager is what went in: the very object, where nothing travels."""
        return got is meant

    def in_the_books(self, raw: Any, resources: ScriptedResources | None, killed: bool) -> bool:
        """Whether all that was made is in the ledger."""
        return resources is None or raw.stats().resources.created == len(resources.created)

    def check_books(self, ledger: ResourceLedger, resources: ScriptedResources | None, killed: bool) -> None:
        """Assert that the ledger of a manager that ended is right."""
        assert ledger.created == ledger.destroyed + ledger.alive + ledger.lost, ledger
        assert ledger.lost == 0, ledger
        if resources is not None:
            assert ledger.created == len(resources.created), ledger
            resources.check_all_ended_once()

    @abc.abstractmethod
    def manager(self, **config: Any) -> AbstractAsyncContextManager[Any]:
        """A manager to be entered; `resources=` takes a ScriptedResources.

        Without further words it has one worker, no pool for `run_task` and can't grow, so that
        tests are deterministic; they say what they need beyond.
        """

    @abc.abstractmethod
    def watching(self, manager: Any, check: Callable[[TaskStats], str | None]) -> AbstractAsyncContextManager[Watch]:
        """Sample `stats()` as fast as possible meanwhile; `check` says what is wrong with one."""

    @abc.abstractmethod
    def audit(self) -> None:
        """At teardown: end what still lives, then assert that nothing leaked."""
