"""``multiprocessing.SharedMemory`` in a child: who unlinks what is left of it.

A process that attaches one registers it with its *resource tracker*, which unlinks whatever is left when that process ends. A
tracker of the child's own would so unlink what the parent still uses.
"""

from __future__ import annotations

from multiprocessing import resource_tracker
from typing import Any


def share_tracker(fds: list[int]) -> None:
    """Has this process use the tracker that these lead to, which is the parent's: it lives as long as the parent does.
    Without one, the parent had not loaded ``SharedMemory`` when this process started; then nothing is registered."""
    tracker: Any = resource_tracker
    if fds:
        tracker._resource_tracker._fd = fds[0]
        return
    for name in ("register", "unregister"):
        setattr(tracker, name, _except_shared_memory(getattr(tracker, name)))


def _except_shared_memory(do: Any) -> Any:
    def filtered(name: Any, rtype: str) -> None:
        if rtype != "shared_memory":
            do(name, rtype)

    return filtered
