"""Know-how that needs no model."""
