"""The skills of the cost agent."""
