"""Terraform for the provider hashicorp/aws: what each part becomes, and how it is written."""
