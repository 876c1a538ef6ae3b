"""Route 53: names, zones, record sets and what aliases point at."""
