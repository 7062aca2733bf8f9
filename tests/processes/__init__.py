"""Workers in child processes: what the contract cannot ask of every engine."""
