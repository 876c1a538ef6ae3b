"""Leaving a region: what has to move, in which order, and what has a copy elsewhere."""
