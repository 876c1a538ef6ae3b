"""What the tools for CloudFormation stacks need."""

from opswright_aws_devops.permissions.reading import INVENTORY

# What the stacks themselves hold needs permissions of its own, by the template's types.
_STACKS = (
    "cloudformation:DescribeEvents",
    "cloudformation:DescribeStackEvents",
    "cloudformation:DescribeStacks",
    "cloudformation:GetTemplate",
    "cloudformation:ListStackResources",
)

_DEPLOYS = (
    *_STACKS,
    "cloudformation:CreateChangeSet",
    "cloudformation:DeleteChangeSet",
    "cloudformation:DeleteStack",
    "cloudformation:DescribeChangeSet",
    "cloudformation:ExecuteChangeSet",
    "cloudformation:UpdateStack",
    "cloudformation:ValidateTemplate",
)

PERMISSIONS: dict[str, tuple[str, ...]] = {
    "review_template": ("cloudformation:DescribeStacks", "cloudformation:GetTemplate"),
    "review_terraform_plan": (),
    "get_stack": _STACKS,
    "draw_stack": (
        "cloudformation:DescribeStacks",
        "cloudformation:GetTemplate",
        "cloudformation:ListImports",
        "cloudformation:ListStackResources",
    ),
    "find_stack_drift": (
        *_STACKS,
        "cloudformation:DescribeStackDriftDetectionStatus",
        "cloudformation:DescribeStackResourceDrifts",
        "cloudformation:DetectStackDrift",
        "cloudformation:DetectStackResourceDrift",
    ),
    "export_application": ("ec2:DescribeAvailabilityZones", "ec2:DescribeInstanceTypes"),
    "export_resources": (
        *INVENTORY,
        "autoscaling:DescribePolicies",
        "ec2:DescribeLaunchTemplateVersions",
        "ec2:DescribeSecurityGroupRules",
        "ec2:DescribeVpcAttribute",
        "elasticloadbalancing:DescribeListeners",
        "elasticloadbalancing:DescribeLoadBalancerAttributes",
        "elasticloadbalancing:DescribeRules",
        "elasticloadbalancing:DescribeTags",
        "iam:GetInstanceProfile",
        "rds:ListTagsForResource",
        "s3:GetBucketCORS",
        "s3:GetBucketLogging",
        "s3:GetBucketOwnershipControls",
        "s3:GetBucketPolicy",
        "s3:GetBucketPublicAccessBlock",
        "s3:GetBucketTagging",
        "s3:GetBucketVersioning",
        "s3:GetBucketWebsite",
        "s3:GetEncryptionConfiguration",
        "s3:GetLifecycleConfiguration",
        "s3:GetReplicationConfiguration",
        "sns:GetSubscriptionAttributes",
        "sns:GetTopicAttributes",
        "sns:ListSubscriptionsByTopic",
        "sqs:GetQueueAttributes",
    ),
    "deploy_stack": _DEPLOYS,
    "import_resources": _DEPLOYS,
    "delete_stack": (
        *_STACKS,
        "cloudformation:CreateStack",
        "cloudformation:DeleteStack",
        "cloudformation:GetStackPolicy",
        "cloudformation:ListImports",
    ),
}
