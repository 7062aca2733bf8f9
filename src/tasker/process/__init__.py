"""Resources in child processes. Imported only where ``Config.backend`` asks for it."""
