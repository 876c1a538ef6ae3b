"""AWS infrastructure: networks, load balancers, servers, databases, buckets."""
