"""What a container service is made of, is, and runs."""
