"""Databases and Aurora clusters as the building tools make them, in parts."""

from collections.abc import Mapping
from typing import Any

from opswright_aws_devops.databases.parts import BACKUP_DAYS, maintenance
from opswright_aws_devops.export.intent import Made, Place, named
from opswright_aws_devops.export.model import Ref


def database(prefix: str, a: Mapping[str, Any], place: Place) -> Made:
    """As create_database builds it; RDS keeps the password in Secrets Manager by itself."""
    made, name = Made(prefix), a["name"]
    group = _subnet_group(made, a)
    instance = made.add(
        "Instance",
        "RDS::DBInstance",
        {
            "DBInstanceIdentifier": name,
            "Engine": a["engine"],
            "DBInstanceClass": a["instance_class"],
            "AllocatedStorage": str(a["storage_gb"]),
            "MultiAZ": a["multi_az"],
            "VPCSecurityGroups": a["security_group_ids"],
            "DBName": "app",
            "MasterUsername": "dbadmin",
            "ManageMasterUserPassword": True,
            "DBSubnetGroupName": group,
            "StorageType": "gp3",
            "StorageEncrypted": True,
            "PubliclyAccessible": False,
            "BackupRetentionPeriod": BACKUP_DAYS,
            "CopyTagsToSnapshot": True,
            "AutoMinorVersionUpgrade": True,
            "DeletionProtection": True,
            **maintenance(a["maintenance_window"]),
            "Tags": named(name),
        },
        holds_data=a["final_snapshot"],
    )
    made.outputs = {
        "db_instance_id": instance("DBInstanceIdentifier"),
        "engine": a["engine"],
        "endpoint": instance("Endpoint.Address"),
        "port": instance("Endpoint.Port"),
        "secret_arn": instance("MasterUserSecret.SecretArn"),
        "subnet_group": group,
        "multi_az": a["multi_az"],
        "encrypted": True,
    }
    return made


def aurora_cluster(prefix: str, a: Mapping[str, Any], place: Place) -> Made:
    """As create_aurora_cluster builds it; RDS spreads the instances over the zones by itself."""
    made, name = Made(prefix), a["name"]
    group = _subnet_group(made, a)
    cluster = made.add(
        "Cluster",
        "RDS::DBCluster",
        {
            "DBClusterIdentifier": name,
            "Engine": a["engine"],
            "DatabaseName": "app",
            "MasterUsername": "dbadmin",
            "ManageMasterUserPassword": True,
            "DBSubnetGroupName": group,
            "VpcSecurityGroupIds": a["security_group_ids"],
            "StorageEncrypted": True,
            "BackupRetentionPeriod": a["backup_days"],
            "CopyTagsToSnapshot": True,
            "DeletionProtection": True,
            **maintenance(a["maintenance_window"]),
            "Tags": named(name),
        },
        holds_data=a["final_snapshot"],
    )
    instances = [
        made.add(
            f"Instance{number}",
            "RDS::DBInstance",
            {
                "DBInstanceIdentifier": f"{name}-{number}",
                "DBInstanceClass": a["instance_class"],
                "Engine": a["engine"],
                "DBClusterIdentifier": cluster("DBClusterIdentifier"),
                "PubliclyAccessible": False,
                "AutoMinorVersionUpgrade": True,
                "Tags": named(f"{name}-{number}"),
            },
        )("DBInstanceIdentifier")
        for number in range(1, a["instance_count"] + 1)
    ]
    made.outputs = {
        "cluster_id": cluster("DBClusterIdentifier"),
        "engine": a["engine"],
        "endpoint": cluster("Endpoint.Address"),
        "reader_endpoint": cluster("ReadEndpoint.Address"),
        "port": cluster("Endpoint.Port"),
        "secret_arn": cluster("MasterUserSecret.SecretArn"),
        "instance_ids": instances,
        "subnet_group": group,
        "encrypted": True,
    }
    return made


def _subnet_group(made: Made, a: Mapping[str, Any]) -> Ref:
    name = a["name"]
    return made.add(
        "Subnets",
        "RDS::DBSubnetGroup",
        {
            "DBSubnetGroupName": name,
            "DBSubnetGroupDescription": f"Database subnets of {name}",
            "SubnetIds": a["subnet_ids"],
            "Tags": named(name),
        },
    )("DBSubnetGroupName")
