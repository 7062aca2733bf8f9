"""Pure tests of one module each: no sleep, no engine."""
