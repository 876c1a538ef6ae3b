"""What servers are launched with, and what groups of them launch."""
