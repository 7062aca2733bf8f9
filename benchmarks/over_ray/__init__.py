"""Ray's own ways to run tasks, beside the managers whose workers are its actors."""
