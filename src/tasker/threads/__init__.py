"""The threaded engine: a driver of the engine core, and its data plane."""
