"""What every opswright server shares: the server factory, the change protocol, AWS sessions and the agent."""

__version__ = "0.1.0"
