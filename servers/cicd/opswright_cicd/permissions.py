"""The IAM actions that each tool needs; a changing tool's include those of its inverse.

AWS checks `ec2:RunInstances`, `ec2:CreateTags` and `iam:PassRole` when a group is pointed at a
launch template's new version; that has not been tried on a real account yet.
"""

_HISTORY = ("ssm:GetParameter", "ssm:GetParameterHistory", "ssm:GetParametersByPath")
_FLEET = (
    "autoscaling:DescribeAutoScalingGroups",
    "ec2:DescribeInstanceAttribute",
    "ec2:DescribeLaunchTemplateVersions",
    "elasticloadbalancing:DescribeTargetHealth",
)
_ROLLOUT = (
    *_HISTORY,
    *_FLEET,
    "autoscaling:CancelInstanceRefresh",
    "autoscaling:DescribeInstanceRefreshes",
    "autoscaling:StartInstanceRefresh",
    "autoscaling:TerminateInstanceInAutoScalingGroup",
    "autoscaling:UpdateAutoScalingGroup",
    "ec2:CreateLaunchTemplateVersion",
    "ec2:CreateTags",
    "ec2:RunInstances",
    "elasticloadbalancing:DeregisterTargets",
    "elasticloadbalancing:DescribeTargetGroupAttributes",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:ModifyTargetGroup",
    "elasticloadbalancing:ModifyTargetGroupAttributes",
    "iam:PassRole",
    "s3:GetObject",
    "s3:ListBucket",
    "ssm:DeleteParameter",
    "ssm:PutParameter",
)

PERMISSIONS: dict[str, tuple[str, ...]] = {
    "list_versions": (),
    "inspect_repository": (),
    "compare_versions": (),
    "build_release": ("s3:DeleteObject", "s3:GetObject", "s3:ListBucket", "s3:PutObject"),
    "get_deployment": (*_FLEET, "ssm:GetParameter", "ssm:GetParametersByPath"),
    "list_deployments": _HISTORY,
    "deploy_release": _ROLLOUT,
    "roll_back_deployment": _ROLLOUT,
    "create_tag": (),
    "list_containers": (),
    "list_images": (),
    "build_image": (),
    "review_pipeline": (),
}
