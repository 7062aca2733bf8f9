"""What dashboards and live views show of a manager: readings, an hour of history, failures by group, notable events."""
