"""A thin orchestrating MCP client for a team of DevOps agents."""

__version__ = "0.1.0"
