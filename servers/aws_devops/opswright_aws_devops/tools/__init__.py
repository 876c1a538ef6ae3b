"""The server's tools, by topic."""
