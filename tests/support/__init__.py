"""Helpers that the suites share; see tests/README.md."""
