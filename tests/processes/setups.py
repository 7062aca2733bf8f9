"""What a child is set up with that a test drives by hand."""

from __future__ import annotations

from tasker.process.protocol.messages import Setup


def bare() -> Setup:
    """Makes an `object`, and nothing else."""
    return Setup(
        name="alone",
        create=object,
        destroy=None,
        resource=None,
        on_return=None,
        check_resource=None,
        arguments=(),
        worker=None,
        values=[],
        asynchronous=False,
        must_admit=False,
        affinity=None,
        nice=0,
        max_rss=None,
        grace=5,
    )
