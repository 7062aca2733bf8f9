"""Exit codes of every command, and the error that means "bad usage"."""

DONE = 0
FAILED = 1
USAGE = 2
BROKEN_PIPE = 141  # what a shell sees of a program that SIGPIPE ended


def after_signal(signum: int) -> int:
    """The code a shell expects of a command that a signal ended."""
    return 128 + signum


class UsageError(Exception):
    """The user can put this right: told in one line, exit code 2, no traceback."""
