"""Ways from a request to a plan; all of them make the same plan format."""
