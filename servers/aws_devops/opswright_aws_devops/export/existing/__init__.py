"""Existing resources as parts of a template: read, described, and joined by references."""
