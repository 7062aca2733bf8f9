"""Helpers shared by the tests: gates, scripted resources, engines and their kits."""
