"""A page that shows what managers do: ``serve`` it, or mount ``app`` into a service of your own. Extra ``dashboard``."""

from __future__ import annotations

from importlib.util import find_spec

from tasker.errors import ConfigError

for _module in ("starlette", "uvicorn"):
    if find_spec(_module) is None:
        raise ConfigError(f"tasker.dashboard needs {_module}: pip install 'tasker-pool[dashboard]'")

from .app import Dashboard, app  # noqa: E402  only once it is known that they are there
from .server import DashboardServer, serve  # noqa: E402

__all__ = ["Dashboard", "DashboardServer", "app", "serve"]
