"""The IAM actions that each tool needs; a changing tool's include those of its inverse.

For the reading ones AWS's managed policy SecurityAudit is enough.
"""

_BUCKETS = (
    "s3:GetAccountPublicAccessBlock",
    "s3:GetBucketAcl",
    "s3:GetBucketPolicy",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetBucketVersioning",
    "s3:GetEncryptionConfiguration",
    "s3:ListAllMyBuckets",
)
_NETWORK = (
    "ec2:DescribeFlowLogs",
    "ec2:DescribeInstances",
    "ec2:DescribeNetworkAcls",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "elasticloadbalancing:DescribeListeners",
    "elasticloadbalancing:DescribeLoadBalancers",
    "rds:DescribeDBInstances",
    "secretsmanager:ListSecrets",
)
_COMPUTE = (
    "ec2:DescribeInstanceAttribute",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:DescribeVolumes",
)
_ACCOUNT = (
    "ec2:DescribeRegions",
    *_NETWORK,
    *_COMPUTE,
    *_BUCKETS,
    "access-analyzer:ListAnalyzers",
    "cloudtrail:DescribeTrails",
    "cloudtrail:GetEventSelectors",
    "cloudtrail:GetTrailStatus",
    "config:DescribeConfigurationRecorderStatus",
    "config:DescribeConfigurationRecorders",
    "ec2:DescribeImages",
    "ec2:DescribeSnapshotAttribute",
    "ec2:DescribeSnapshots",
    "ec2:GetEbsEncryptionByDefault",
    "elasticfilesystem:DescribeFileSystems",
    "guardduty:GetDetector",
    "guardduty:ListDetectors",
    "iam:GetAccessKeyLastUsed",
    "iam:GetAccountAuthorizationDetails",
    "iam:GetAccountPasswordPolicy",
    "iam:GetAccountSummary",
    "iam:GetLoginProfile",
    "iam:ListAccessKeys",
    "iam:ListMFADevices",
    "iam:ListServerCertificates",
    "iam:ListUsers",
    "kms:DescribeKey",
    "kms:GetKeyRotationStatus",
    "kms:ListKeys",
    "lambda:ListFunctions",
    "rds:DescribeDBSnapshotAttributes",
    "rds:DescribeDBSnapshots",
    "securityhub:DescribeHub",
)

PERMISSIONS: dict[str, tuple[str, ...]] = {
    "audit_account": _ACCOUNT,
    "check_compliance": _ACCOUNT,
    "review_application": (
        *_NETWORK,
        *_COMPUTE,
        *_BUCKETS,
        "autoscaling:DescribeAutoScalingGroups",
        "s3:GetBucketTagging",
    ),
    "audit_security_groups": (
        "ec2:DescribeRegions",
        "ec2:DescribeInstances",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSecurityGroups",
        "elasticloadbalancing:DescribeListeners",
        "elasticloadbalancing:DescribeLoadBalancers",
        "rds:DescribeDBInstances",
    ),
    "list_checks": (),
    "explain_finding": (),
    "audit_iam": ("iam:GetAccountAuthorizationDetails",),
    "explain_policy": ("iam:GetPolicy", "iam:GetPolicyVersion"),
    "scan_dependencies": (),
    "close_security_group_rule": (
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:DescribeSecurityGroups",
        "ec2:RevokeSecurityGroupIngress",
    ),
    "block_public_access": (
        "s3:GetBucketPublicAccessBlock",
        "s3:PutBucketPublicAccessBlock",
    ),
    "require_imdsv2": ("ec2:DescribeInstances", "ec2:ModifyInstanceMetadataOptions"),
}
