"""How an account's resources hang together, who reaches them, and where they run."""
