"""The tools, by topic."""
