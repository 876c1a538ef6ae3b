"""What is judged, by topic: pure functions over facts."""
