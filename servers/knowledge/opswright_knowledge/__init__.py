"""The knowledge server: shared operational state for a team of agents."""
