"""What the agent can do on its own, without a model."""
