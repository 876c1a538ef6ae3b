"""What is paid for and not used: gathered from AWS, then judged."""
