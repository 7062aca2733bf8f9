"""Logging of a run: to standard error, as it is at the moment of the message."""

from __future__ import annotations

import logging
import sys
from typing import TextIO


class StderrHandler(logging.StreamHandler[TextIO]):
    """Looks `sys.stderr` up anew for each message, so that it appears above a live bar.

    The bar replaces `sys.stderr` while it is shown; a stream kept from before would draw into it.
    """

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Nothing: standard error is gone, and there is no other place to say so."""


def configure_logging(level: str) -> None:
    """Show messages of the library and of the job file from this level on."""
    handler = StderrHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level.upper())
