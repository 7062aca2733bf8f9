"""The asyncio engine: a driver of the engine core in one event loop, and its data plane."""
