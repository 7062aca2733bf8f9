"""The cause of an error that the task may have seen before."""

from __future__ import annotations

from typing import Any

# Not by attribute, which the class of a user's error may have replaced.
_LINKS: tuple[Any, ...] = (vars(BaseException)["__cause__"], vars(BaseException)["__context__"])


def set_cause(error: BaseException, cause: BaseException) -> None:
    """Makes ``cause`` the cause of ``error``. If ``error`` is in the chain of causes and contexts that led to ``cause``, it is taken
    out of there, as Python does where an error is raised: whoever walks along the chain comes to its end. Does nothing if
    both are the same."""
    if cause is error:
        return
    _LINKS[0].__set__(error, None)
    seen, due = {id(error)}, [cause]
    while due:
        one = due.pop()
        seen.add(id(one))
        for link in _LINKS:
            before = link.__get__(one)
            if before is error:
                link.__set__(one, None)
            elif before is not None and id(before) not in seen:
                due.append(before)
    _LINKS[0].__set__(error, cause)
