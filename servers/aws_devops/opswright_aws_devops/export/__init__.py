"""Infrastructure as text: CloudFormation, Terraform and boto3 from one model."""
