"""Tests of what shows managers to other systems."""
