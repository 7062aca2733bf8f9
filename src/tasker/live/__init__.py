"""A live view of a manager in a terminal: ``manager.live()``. Extra ``cli``."""

from __future__ import annotations

from importlib.util import find_spec

from tasker.errors import ConfigError

if find_spec("rich") is None:
    raise ConfigError("a live view needs rich: pip install 'tasker-pool[cli]'")

from .view import LiveView, live

__all__ = ["LiveView", "live"]
