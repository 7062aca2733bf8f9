"""Who waits for the last task of a manager that is being paused."""

from __future__ import annotations

from collections.abc import Callable

from tasker.control.lifecycle import Phase

Answer = Callable[[bool], object]


class QuietWaits:
    """The callers of ``pause`` that wait. Not thread-safe: for whatever handles the events of an engine."""

    def __init__(self) -> None:
        self._answers: list[Answer] = []

    def __bool__(self) -> bool:
        return bool(self._answers)

    def add(self, answer: Answer, phase: Phase) -> None:
        """Has ``answer`` called once: with True when no task runs, with False if the pause ends before. May be at once."""
        self._answers.append(answer)
        self.settle(phase)

    def forget(self, answer: Answer) -> None:
        """The caller waits no longer."""
        if answer in self._answers:
            self._answers.remove(answer)

    def settle(self, phase: Phase) -> None:
        """Answers those whose wait is over."""
        if phase is not Phase.PAUSING:
            answers, self._answers = self._answers, []
            for answer in answers:
                answer(phase is Phase.PAUSED)
