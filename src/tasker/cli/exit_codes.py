"""Exit codes of every command, and the error for bad usage."""

DONE = 0
FAILED = 1
USAGE = 2
BROKEN_PIPE = 141  # 128 + SIGPIPE: what a shell reports for a program that SIGPIPE ended


def after_signal(signum: int) -> int:
    """Returns the exit code that shells use for a command that a signal ended."""
    return 128 + signum


class UsageError(Exception):
    """Bad usage, which the user can correct: reported in one line without a traceback, exit code 2."""
