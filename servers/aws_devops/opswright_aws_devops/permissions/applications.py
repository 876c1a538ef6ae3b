"""What the tools that run code need, with what their inverses need."""

_ROLE = (
    "iam:CreateRole",
    "iam:DeleteRole",
    "iam:DeleteRolePolicy",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListRolePolicies",
    "iam:PutRolePolicy",
    "iam:TagRole",
)

PERMISSIONS: dict[str, tuple[str, ...]] = {
    "create_container_repository": (
        "ecr:CreateRepository",
        "ecr:DeleteRepository",
        "ecr:DescribeRepositories",
        "ecr:GetLifecyclePolicy",
        "ecr:ListTagsForResource",
        "ecr:PutImageScanningConfiguration",
        "ecr:PutImageTagMutability",
        "ecr:PutLifecyclePolicy",
        "ecr:TagResource",
        "kms:CreateGrant",
        "kms:DescribeKey",
        "kms:RetireGrant",
    ),
    "create_service_role": (*_ROLE, "iam:GetPolicy", "iam:PutRolePermissionsBoundary"),
}
