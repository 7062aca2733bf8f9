"""The control plane: pure, on virtual time."""
