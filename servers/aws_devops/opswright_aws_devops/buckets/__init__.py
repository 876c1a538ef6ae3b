"""What is set and allowed on buckets, and what is brought into them."""
