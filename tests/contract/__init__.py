"""The contract: what every engine promises, tested from outside."""
