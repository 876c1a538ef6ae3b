"""The orchestrator as an MCP server: the whole team behind one entry of a host's configuration."""
