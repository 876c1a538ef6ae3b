"""What RDS databases are made of, and restored from."""
