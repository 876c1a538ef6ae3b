"""What the commands do, by topic; each returns its exit code."""
