"""Arguments that both managers check."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tasker import RetryPolicy
from tasker.core.checks import check_look_ahead, check_queue_timeout, check_rare, check_timeout


@pytest.mark.parametrize("timeout", [None, 0, 0.0, 1, 2.5, math.inf])
def test_a_timeout(timeout: float | None) -> None:
    """None and each number of seconds from 0 on is a timeout."""
    check_timeout(timeout)


@pytest.mark.parametrize("timeout", [-1, -0.001, math.nan, True, False, "1", [1]])
def test_no_timeout(timeout: Any) -> None:
    """The error repeats the value, and says what is allowed."""
    with pytest.raises(ValueError, match="number of seconds, at least 0, or None, got ") as caught:
        check_timeout(timeout)
    assert str(caught.value).endswith(f"got {timeout!r}")


@pytest.mark.parametrize("timeout", [None, 0, 0.0, 1, 2.5, math.inf])
def test_a_queue_timeout(timeout: float | None) -> None:
    """None and each number of seconds from 0 on is a timeout of the queue."""
    check_queue_timeout(timeout)


@pytest.mark.parametrize("timeout", [True, False, "1", [1]])
def test_no_queue_timeout(timeout: Any) -> None:
    """The error repeats the value, and says what is allowed."""
    with pytest.raises(TypeError, match="queue_timeout must be a number of seconds or None, got ") as caught:
        check_queue_timeout(timeout)
    assert str(caught.value).endswith(f"got {timeout!r}")


@pytest.mark.parametrize("timeout", [-1, -0.001, math.nan])
def test_a_queue_timeout_that_is_no_duration(timeout: float) -> None:
    """A number that is no duration is a ValueError that repeats it."""
    with pytest.raises(ValueError, match="queue_timeout must be at least 0 seconds, got ") as caught:
        check_queue_timeout(timeout)
    assert str(caught.value).endswith(f"got {timeout!r}")


@pytest.mark.parametrize(("given", "result"), [(None, 1000), (1, 1), (5000, 5000)])
def test_look_ahead(given: int | None, result: int) -> None:
    """map reads a thousand items ahead unless it is given a number."""
    assert check_look_ahead(given) == result


@pytest.mark.parametrize("given", [0, -1, 1.0, True, "1"])
def test_no_look_ahead(given: Any) -> None:
    """The error repeats the value, and says what is allowed."""
    with pytest.raises(ValueError, match="look_ahead must be a positive integer, got ") as caught:
        check_look_ahead(given)
    assert str(caught.value).endswith(f"got {given!r}")


async def unsure(error: BaseException) -> bool:
    """Its coroutine would count as true."""
    return False


@pytest.mark.parametrize(
    ("callback", "retry", "error"),
    [
        (3, None, TypeError("callback must be callable, got 3")),
        (None, 3, TypeError("retry must be a RetryPolicy or None, got 3")),
        (print, RetryPolicy(retry_on=unsure), ValueError("retry must be a RetryPolicy whose retry_on is not async")),
    ],
)
def test_wrong_options(callback: Any, retry: Any, error: Exception) -> None:
    """The error names the option and the value."""
    with pytest.raises(type(error), match=str(error)):
        check_rare(callback, retry)


def test_right_options() -> None:
    """None, or what the option takes."""
    check_rare(None, None)
    check_rare(print, RetryPolicy(retry_on=OSError))
