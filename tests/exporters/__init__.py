"""Tests of the command `tasker`, most of them through the real command in a process of its own."""
