"""What a child is set up with that a test drives by hand."""

from __future__ import annotations

from tasker.process.protocol.messages import Setup
from tasker.process.protocol.setups import ResourceSetup


def bare() -> Setup:
    """Makes an `object`, and nothing else."""
    made_of = ResourceSetup(
        create=object,
        destroy=None,
        resource=None,
        on_return=None,
        check_resource=None,
        arguments=(),
        worker=None,
        values=[],
        asynchronous=False,
        grace=5,
    )
    return Setup(name="alone", made_of=made_of, must_admit=False, affinity=None, nice=0, max_rss=None)
