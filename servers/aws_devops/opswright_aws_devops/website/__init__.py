"""A static website: its CloudFront distribution and its files."""
