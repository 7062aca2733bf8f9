"""Metrics: the collector protocol, the built-in collector and its histogram."""
