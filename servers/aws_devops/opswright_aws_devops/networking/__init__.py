"""What a network is made of, how it is laid out, and how it is judged."""
