"""What the tools of the toolset `storage` need, with what their inverses need."""

PERMISSIONS: dict[str, tuple[str, ...]] = {
    "configure_bucket": (
        "kms:DescribeKey",
        "s3:DeleteBucketPolicy",
        "s3:GetBucketLogging",
        "s3:GetBucketPolicy",
        "s3:GetBucketPublicAccessBlock",
        "s3:GetBucketTagging",
        "s3:GetBucketVersioning",
        "s3:GetEncryptionConfiguration",
        "s3:GetLifecycleConfiguration",
        "s3:ListBucket",
        "s3:PutBucketLogging",
        "s3:PutBucketPolicy",
        "s3:PutBucketPublicAccessBlock",
        "s3:PutBucketVersioning",
        "s3:PutEncryptionConfiguration",
        "s3:PutLifecycleConfiguration",
        "s3:ListAllMyBuckets",
    ),
}
