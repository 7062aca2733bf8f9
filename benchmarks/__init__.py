"""tasker against its peers: the same work, in the same run, interleaved. See README.md beside this file."""
