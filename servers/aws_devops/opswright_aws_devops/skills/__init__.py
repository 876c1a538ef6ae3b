"""What the agent can do without a model."""
