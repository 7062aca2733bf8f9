"""Pages in one file, which open without a network: `tasker report` and `tasker simulate` write them."""
