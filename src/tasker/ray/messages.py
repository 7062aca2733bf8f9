"""What goes to an actor and back: pickles in parts."""

from __future__ import annotations

import pickle
from typing import Any

Message = list[Any]
"""A pickle in parts, as Ray carries them without copying the large ones."""


def message(parts: Any) -> Message:
    """Returns what Ray is to carry of a pickle in parts."""
    first, *buffers = parts
    return [bytes(first), *map(pickle.PickleBuffer, buffers)]
