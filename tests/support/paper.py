"""The former names of `support.files_between_processes`, for tests that still import them."""

from support.files_between_processes import FileGate as Door
from support.files_between_processes import Notes

__all__ = ["Door", "Notes"]
