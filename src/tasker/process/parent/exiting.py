"""Whether a process is about to exit, as the kernel sees it."""

from __future__ import annotations

from pathlib import Path

_PF_EXITING = 4


def is_exiting(pid: int) -> bool:
    """Returns False if the process surely goes on; True if it exits or is gone, or if that cannot be known here."""
    try:
        # Behind the name of the program, which may have any characters: the state, five numbers, the flags.
        after_name = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2]
        state, _, _, _, _, _, flags, *_ = after_name.split()
    except (OSError, ValueError):
        return True
    return state in (b"Z", b"X") or bool(int(flags) & _PF_EXITING)
