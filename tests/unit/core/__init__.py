"""The engine core: over a fake driver and a scripted supervisor, without a thread or a loop."""
