"""Logging of a run, to standard error."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

from .type_names import without_job_module


class StderrHandler(logging.StreamHandler[TextIO]):
    """Looks up `sys.stderr` for each message.

    The live bar replaces `sys.stderr` while it is shown: messages to the stream from before would
    be drawn into it, and not above it.
    """

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Does nothing: standard error is closed, and there is nowhere left to report it."""


class JobFormatter(logging.Formatter):
    """Calls tasks as in the job file."""

    def format(self, record: logging.LogRecord) -> str:
        return without_job_module(super().format(record))


def configure_logging(level: str) -> None:
    """Shows messages of the library and of the job file from this level on."""
    handler = StderrHandler()
    handler.setFormatter(JobFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level.upper())
    # Python's own warnings as well, which --quiet would not keep away otherwise.
    logging.captureWarnings(True)
