"""The exported boto3 script: what it is made of, and how it is written."""
