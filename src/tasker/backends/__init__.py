"""Where the resources of workers live: this process, or a child process for each."""
