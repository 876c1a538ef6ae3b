"""The tools of the cost server."""
