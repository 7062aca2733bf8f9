"""Hypothesis does not measure time: other processes may have the machine."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("shared", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")
