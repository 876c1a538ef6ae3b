"""The agent in each server: takes a task, works with the server's own tools, and reports."""
