"""Remembers the process that imported it first."""

import os

PID = os.getpid()
