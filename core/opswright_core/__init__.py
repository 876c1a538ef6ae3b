"""What every opswright server shares: its factory, the change protocol, AWS and the agent."""

__version__ = "0.1.0"
