"""Where a session runs what it runs: its stack or, where that is not known, its process."""

from __future__ import annotations

from .session import Session


def where_in(session: Session | None, patience: float = 0.0) -> str:
    """Returns where a session is: its stack, if that is known within ``patience`` seconds, or the process in words."""
    stack = None if session is None or patience <= 0.0 else session.stack(patience)
    if stack:
        return stack
    return f"process {session.pid}" if session is not None and session.pid else "another process, which starts"
