"""What both engines are: the guarded step, the table of effects, counters and reports. No thread, no loop in here."""
