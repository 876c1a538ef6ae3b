"""Reviews of what is only written down yet: CloudFormation templates, Terraform plans."""
