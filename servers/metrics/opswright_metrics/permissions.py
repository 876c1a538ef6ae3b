"""The IAM actions that each tool needs; a changing tool's include those of its inverse."""

_SUBJECTS = (
    "autoscaling:DescribeAutoScalingGroups",
    "ec2:DescribeInstanceTypes",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeTargetGroups",
    "rds:DescribeDBInstances",
)

PERMISSIONS: dict[str, tuple[str, ...]] = {
    "diagnose_web_tier": (
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeScalingActivities",
        "cloudwatch:DescribeAlarms",
        "cloudwatch:GetMetricData",
        "ec2:DescribeInstanceStatus",
        "ec2:DescribeInstances",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeTargetHealth",
    ),
    "get_health": (
        "ec2:DescribeRegions",
        "cloudwatch:DescribeAlarms",
        "ec2:DescribeInstanceStatus",
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeTargetHealth",
        "rds:DescribeDBInstances",
    ),
    "list_alarms": (
        "ec2:DescribeRegions",
        "cloudwatch:DescribeAlarms",
    ),
    "triage_alarms": (
        "ec2:DescribeRegions",
        "cloudwatch:DescribeAlarms",
    ),
    "get_metrics": ("cloudwatch:GetMetricData",),
    "find_anomalies": ("cloudwatch:GetMetricData",),
    "list_log_groups": (
        "ec2:DescribeRegions",
        "logs:DescribeLogGroups",
    ),
    "search_logs": ("logs:FilterLogEvents",),
    "summarize_logs": ("logs:FilterLogEvents",),
    "create_alarms": (
        *_SUBJECTS,
        "cloudwatch:DeleteAlarms",
        "cloudwatch:DescribeAlarms",
        "cloudwatch:ListTagsForResource",
        "cloudwatch:PutMetricAlarm",
        "cloudwatch:TagResource",
        "kms:DescribeKey",
        "kms:GetKeyPolicy",
        "sns:CreateTopic",
        "sns:DeleteTopic",
        "sns:GetTopicAttributes",
        "sns:ListSubscriptionsByTopic",
        "sns:ListTagsForResource",
        "sns:SetTopicAttributes",
        "sns:Subscribe",
        "sns:TagResource",
        "sns:Unsubscribe",
    ),
    "create_dashboard": (
        *_SUBJECTS,
        "cloudwatch:DeleteDashboards",
        "cloudwatch:GetDashboard",
        "cloudwatch:PutDashboard",
    ),
}
