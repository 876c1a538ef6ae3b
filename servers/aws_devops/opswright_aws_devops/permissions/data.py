"""What the tools of the toolset `databases` need, with what their inverses need."""

_EACH = (
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "iam:CreateServiceLinkedRole",
    "kms:DescribeKey",
    "rds:AddTagsToResource",
    "rds:CreateDBInstance",
    "rds:CreateDBClusterSnapshot",
    "rds:DeleteDBCluster",
    "rds:DeleteDBInstance",
    "rds:DescribeDBClusters",
    "rds:DescribeDBInstances",
    "rds:DescribeDBSubnetGroups",
    "rds:ListTagsForResource",
    "rds:ModifyDBCluster",
    "secretsmanager:CreateSecret",
    "secretsmanager:DescribeSecret",
    "secretsmanager:TagResource",
)

PERMISSIONS: dict[str, tuple[str, ...]] = {
    "create_aurora_cluster": (
        *_EACH,
        "rds:CreateDBCluster",
        "rds:CreateDBSubnetGroup",
        "rds:DeleteDBSubnetGroup",
    ),
    "create_aurora_reader": (
        "iam:CreateServiceLinkedRole",
        "kms:DescribeKey",
        "rds:AddTagsToResource",
        "rds:CreateDBInstance",
        "rds:DeleteDBInstance",
        "rds:DescribeDBClusters",
        "rds:DescribeDBInstances",
        "rds:DescribeDBSubnetGroups",
        "rds:ListTagsForResource",
    ),
    "restore_database": (
        *_EACH,
        "rds:CreateDBSnapshot",
        "rds:DescribeDBClusterSnapshots",
        "rds:DescribeDBInstanceAutomatedBackups",
        "rds:DescribeDBSnapshots",
        "rds:ModifyDBInstance",
        "rds:RestoreDBClusterFromSnapshot",
        "rds:RestoreDBClusterToPointInTime",
        "rds:RestoreDBInstanceFromDBSnapshot",
        "rds:RestoreDBInstanceToPointInTime",
    ),
}
