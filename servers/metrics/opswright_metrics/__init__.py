"""Metrics, alarms, logs, and why something is unhealthy: the metrics server."""
