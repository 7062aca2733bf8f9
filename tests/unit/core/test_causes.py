"""The cause of an error that the task may have seen before."""

from __future__ import annotations

from typing import Any

import pytest

from tasker.core.causes import set_cause


def chain(error: BaseException | None) -> list[BaseException]:
    """The error and what led to it, as a caller may walk along it."""
    found: list[BaseException] = []
    while error is not None:
        assert error not in found, "a chain has an end"
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def test_a_cause() -> None:
    """It is what it would be after ``raise error from cause``, with what led to it."""
    error, cause, first = KeyError("error"), ValueError("cause"), OSError("first")
    cause.__cause__ = first
    set_cause(error, cause)
    assert chain(error) == [error, cause, first]


@pytest.mark.parametrize("link", ["__cause__", "__context__"])
def test_a_cause_that_the_error_has_led_to(link: str) -> None:
    """The error is taken out of the chain, however far away it is."""
    error, cause, between = KeyError("error"), ValueError("cause"), OSError("between")
    setattr(cause, link, between)
    setattr(between, link, error)
    set_cause(error, cause)
    assert chain(error) == [error, cause, between]
    assert (between.__cause__, between.__context__) == (None, None)


def test_a_chain_that_has_no_end_already() -> None:
    """The user's is left as it is."""
    error, cause, other = KeyError("error"), ValueError("cause"), OSError("other")
    cause.__cause__, other.__cause__ = other, cause
    set_cause(error, cause)
    assert error.__cause__ is cause
    assert (cause.__cause__, other.__cause__) == (other, cause)


def test_an_error_whose_attributes_raise() -> None:
    """They are not asked."""

    class HostileError(Exception):
        @property
        def __cause__(self) -> Any:  # type: ignore[override]
            raise SystemExit("cause")

    error = KeyError("error")
    hostile = HostileError()
    set_cause(error, hostile)
    assert error.__cause__ is hostile


def test_itself() -> None:
    """An error is not its own cause."""
    error, cause = KeyError("error"), ValueError("cause")
    error.__cause__ = cause
    set_cause(error, error)
    assert chain(error) == [error, cause]
