"""What a child does with the items of a lane, see `process_lanes`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextvars import Context as Variables
from contextvars import copy_context
from functools import partial
from time import monotonic
from typing import Any

from tasker import Context
from tasker.cli import strict_json
from tasker.context import BareContext
from tasker.process.child.exits import leave_copy

from .chunk_slots import Address, slot_at
from .jobs import Job
from .lanes import forget_callbacks
from .task_wrapper import Encoded, NotEncodable, encoded

_forks: list[None] = []
"""One element for each time that this process, or one that it was forked from, was the new one at a fork."""
os.register_at_fork(after_in_child=partial(_forks.append, None))


def run_items(
    job: Job, ctx: Context, resource: Any, address: Address, seconds: float, texts: Sequence[str]
) -> Encoded | NotEncodable | None:
    """Runs items, which are given as JSON, until one has no permit any more, or ``seconds`` are over.

    Returns None if the results of all that have begun are in the journal. Otherwise that of the last one is not: it is
    what this returns, or what the task raised.
    """
    slot = slot_at(address)
    slot.enter()
    task, encode, decode = job.task, job.encoder.quickly, strict_json.decode
    claim, begin, add = slot.claim, slot.begin, slot.add
    now, new_context, variables = monotonic, BareContext, copy_context
    until = now() + seconds
    forks = len(_forks)
    # Runs a function in a context of variables of its own, once an item has set one, as decimal numbers do.
    run: Any = None
    for text in texts:
        if not claim():
            break
        # As `ctx.child()`, which would be one call more.
        context = new_context()
        context._parent = ctx
        context._cause = None
        context._watchers = []
        started = now()
        begin(started)
        item = decode(text)
        value = task(context, resource, item) if run is None else run(task, context, resource, item)
        if len(_forks) != forks:  # a process that the task has forked: the other items are not for it
            leave_copy()
        # At once: the result may be owned by the resource, and change with the next item.
        try:
            result = encode(value) if run is None else run(encode, value)
            written = result.encode()
        except Exception:  # it has no JSON form, or only after a second look
            return encoded(value, job.encoder)
        ended = now()
        if not add(started, ended, written):
            return Encoded(result)
        if context._watchers:
            forget_callbacks(context, ctx)
        if ended >= until:
            break
        if run is not None or variables():  # the next item gets a context without those that were set
            run = Variables().run
    return None
