"""The part of the contract that is about threads: signals, fork, interpreter exit, the executor, and interrupted threads."""
