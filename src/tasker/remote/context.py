"""The ``Context`` of a task that runs in a child, as this process has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasker.context import Cause, Context

if TYPE_CHECKING:
    from tasker.process.parent.connection import Connection

PATIENCE = 1.0
"""Seconds between terminating a child and killing it."""


class RemoteContext(Context):
    """Cancelling it cancels the one in the child; a task that does not heed that is cut off after the grace."""

    __slots__ = ("_session", "number")

    def __init__(self, parent: Context, session: Connection, number: int) -> None:
        super().__init__(parent)
        self._session: Connection = session
        self.number: int = number

    def cancel(self, cause: Cause = None) -> None:
        """See ``Context``."""
        if self._cause is not None:
            return
        super().cancel(cause)
        fired: BaseException | None = self._cause
        assert fired is not None
        self._session.cancel(self.number, fired)
        self._session.cut_off_after(self._session.grace, self.number, PATIENCE)
