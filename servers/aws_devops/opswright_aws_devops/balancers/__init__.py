"""Load balancers: their parts, how they are made and taken back, and what is right of them."""
