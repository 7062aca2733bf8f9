"""Scaling rules compared in simulation, and the simulation compared with real runs: `make scaling`."""
