"""What the tools for CloudFormation stacks need."""

# What the stacks themselves hold needs permissions of its own, by the template's types.
_STACKS = (
    "cloudformation:DescribeStackEvents",
    "cloudformation:DescribeStacks",
    "cloudformation:GetTemplate",
    "cloudformation:ListStackResources",
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
    "deploy_stack": (
        *_STACKS,
        "cloudformation:CreateChangeSet",
        "cloudformation:DeleteChangeSet",
        "cloudformation:DeleteStack",
        "cloudformation:DescribeChangeSet",
        "cloudformation:ExecuteChangeSet",
        "cloudformation:UpdateStack",
        "cloudformation:ValidateTemplate",
    ),
    "delete_stack": (*_STACKS, "cloudformation:DeleteStack", "cloudformation:ListImports"),
}
