"""The part of the contract that only makes sense on threads."""
