"""Backends in general, shown by a toy one."""
