"""The control plane: decides about births, deaths, retries, scaling and the lifecycle, and does nothing itself.

``Supervisor.handle(event, now)`` returns the actions that an engine carries out. Nothing in this package knows of
threads, locks, clocks, randomness (an ``rng`` is given), I/O, logging or user code; a test enforces it.
"""
