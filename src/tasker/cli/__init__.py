"""The command `tasker`. Its entry point is `main`; nothing else here is public."""

from .app import main

__all__ = ["main"]
