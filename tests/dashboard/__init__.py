"""Tests of the page that shows managers."""
