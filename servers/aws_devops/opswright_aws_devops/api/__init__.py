"""Any AWS operation: found, described, judged and called by the models that botocore ships."""
