"""What a Lambda function and the APIs before it are made of, are, and run."""
