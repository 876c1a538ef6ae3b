"""The rules that look at one property: a table.

Terraform's plans name the properties that are not given with the provider's default, or as not
known; templates leave them out, so that None stands for CloudFormation's default.
"""

from typing import Any

from opswright_aws_devops.review.findings import Rule
from opswright_aws_devops.review.resources import UNKNOWN, Resource, number

FSBP = "FSBP"


def _true(value: Any) -> bool:
    return value is True


def _not_false(value: Any) -> bool:
    return value is not False


def _not_true(value: Any) -> bool | None:
    return None if value is None else value is not True


def _required(value: Any) -> bool:
    return bool(value == "required")


def _two(value: Any) -> bool:
    value = number(value)
    return isinstance(value, int | float) and value >= 2


def _two_entries(value: Any) -> bool | None:
    return len(value) >= 2 if isinstance(value, list) else None


def _no_public_acl(value: Any) -> bool:
    return value not in ("PublicRead", "PublicReadWrite", "public-read", "public-read-write")


def _days(value: Any) -> bool:
    return value is None or number(value) != 0


def _is_safe(listener: Resource) -> Any:
    """Whether a listener is not HTTP, or sends on to another address."""
    protocol = listener.one("Protocol") or listener.one("protocol")
    actions = [*listener.at("DefaultActions[].Type"), *listener.at("default_action[].type")]
    if UNKNOWN in (protocol, *actions):
        return UNKNOWN
    return protocol != "HTTP" or "redirect" in actions


def _heeds_balancer(group: Resource) -> Any:
    """Whether an auto-scaling group that is behind a load balancer uses its health checks."""
    names = ("TargetGroupARNs", "LoadBalancerNames", "target_group_arns", "load_balancers")
    health = group.one("HealthCheckType") or group.one("health_check_type")
    if health is not UNKNOWN and "ELB" in str(health):
        return True
    behind = [group.one(name) for name in names]
    if any(value is not UNKNOWN and value for value in behind):
        return UNKNOWN if health is UNKNOWN else False
    return UNKNOWN if UNKNOWN in behind else True


def _cites(control: str, *types: str) -> dict[str, str]:
    """Security Hub's control for some types of resource."""
    return dict.fromkeys(types, f"{FSBP} {control}")


_MEMBER = ("DBClusterIdentifier", "SourceDBInstanceIdentifier", "replicate_source_db")
_RESTORED = (*_MEMBER, "DBSnapshotIdentifier", "snapshot_identifier")

RULES: tuple[Rule, ...] = (
    Rule(
        "imdsv1", "security", "high", "Instance metadata answers without a session token (IMDSv1)",
        "Set the metadata option HttpTokens to required", f"{FSBP} EC2.8",
        {
            "AWS::EC2::Instance": "MetadataOptions.HttpTokens",
            "AWS::EC2::LaunchTemplate": "LaunchTemplateData.MetadataOptions.HttpTokens",
            "AWS::AutoScaling::LaunchConfiguration": "MetadataOptions.HttpTokens",
            "aws_instance": "metadata_options.http_tokens",
            "aws_launch_template": "metadata_options.http_tokens",
            "aws_launch_configuration": "metadata_options.http_tokens",
        },
        _required, ("LaunchTemplate", "launch_template"),
        {
            **_cites("EC2.170", "AWS::EC2::LaunchTemplate", "aws_launch_template"),
            **_cites(
                "AutoScaling.3", "AWS::AutoScaling::LaunchConfiguration", "aws_launch_configuration"
            ),
        },
    ),
    Rule(
        "disk-unencrypted", "security", "medium", "Disk is not encrypted",
        "Set Encrypted to true", f"{FSBP} EC2.3",
        {
            "AWS::EC2::Volume": "Encrypted",
            "AWS::EC2::Instance": "BlockDeviceMappings[].Ebs.Encrypted",
            "AWS::EC2::LaunchTemplate": "LaunchTemplateData.BlockDeviceMappings[].Ebs.Encrypted",
            "aws_ebs_volume": "encrypted",
            "aws_instance": "root_block_device[].encrypted",
            "aws_launch_template": "block_device_mappings[].ebs.encrypted",
        },
        _true,
    ),
    Rule(
        "database-unencrypted", "security", "high", "Database is not encrypted at rest",
        "Set StorageEncrypted (storage_encrypted) to true; it needs a new database later",
        f"{FSBP} RDS.3",
        {
            "AWS::RDS::DBInstance": "StorageEncrypted", "AWS::RDS::DBCluster": "StorageEncrypted",
            "AWS::DocDB::DBCluster": "StorageEncrypted", "aws_db_instance": "storage_encrypted",
            "AWS::Neptune::DBCluster": "StorageEncrypted", "aws_rds_cluster": "storage_encrypted",
            "aws_docdb_cluster": "storage_encrypted", "aws_neptune_cluster": "storage_encrypted",
            "AWS::Redshift::Cluster": "Encrypted", "aws_redshift_cluster": "encrypted",
        },
        _true, (*_RESTORED, "SnapshotIdentifier"),
        {
            **_cites("RDS.27", "AWS::RDS::DBCluster", "aws_rds_cluster"),
            **_cites("DocumentDB.1", "AWS::DocDB::DBCluster", "aws_docdb_cluster"),
            **_cites("Neptune.1", "AWS::Neptune::DBCluster", "aws_neptune_cluster"),
            **_cites("Redshift.10", "AWS::Redshift::Cluster", "aws_redshift_cluster"),
        },
    ),
    Rule(
        "database-public", "security", "critical", "Database has a public address",
        "Set PubliclyAccessible (publicly_accessible) to false", f"{FSBP} RDS.2",
        {
            "AWS::RDS::DBInstance": "PubliclyAccessible", "aws_db_instance": "publicly_accessible",
            "aws_rds_cluster_instance": "publicly_accessible",
            "AWS::Redshift::Cluster": "PubliclyAccessible",
            "aws_redshift_cluster": "publicly_accessible",
        },
        _not_true,
        sources=_cites("Redshift.1", "AWS::Redshift::Cluster", "aws_redshift_cluster"),
    ),
    Rule(
        "storage-unencrypted", "security", "medium", "File system or cache is not encrypted",
        "Set Encrypted (AtRestEncryptionEnabled for a cache) to true",
        f"{FSBP} EFS.1",
        {
            "AWS::EFS::FileSystem": "Encrypted", "aws_efs_file_system": "encrypted",
            "AWS::ElastiCache::ReplicationGroup": "AtRestEncryptionEnabled",
            "aws_elasticache_replication_group": "at_rest_encryption_enabled",
        },
        _true,
        sources=_cites(
            "ElastiCache.4",
            "AWS::ElastiCache::ReplicationGroup", "aws_elasticache_replication_group",
        ),
    ),
    Rule(
        "bucket-public-acl", "security", "critical", "Bucket is given to everyone by its ACL",
        "Remove the ACL; give access by a policy", f"{FSBP} S3.2, S3.3",
        {"AWS::S3::Bucket": "AccessControl", "aws_s3_bucket_acl": "acl", "aws_s3_bucket": "acl"},
        _no_public_acl,
    ),
    *(
        Rule(
            "bucket-public-access", "security", "high",
            f"Bucket's Block Public Access has {cfn} off", f"Set {cfn} ({terraform}) to true",
            f"{FSBP} S3.8",
            {
                "AWS::S3::Bucket": f"PublicAccessBlockConfiguration.{cfn}",
                "aws_s3_bucket_public_access_block": terraform,
            },
            _not_false,  # on by default for what is made since April 2023
        )
        for cfn, terraform in (
            ("BlockPublicAcls", "block_public_acls"), ("BlockPublicPolicy", "block_public_policy"),
            ("IgnorePublicAcls", "ignore_public_acls"),
            ("RestrictPublicBuckets", "restrict_public_buckets"),
        )
    ),
    Rule(
        "listener-clear-text", "security", "medium", "Listener takes HTTP and does not redirect it",
        "Add an HTTPS listener and let this one redirect to it", f"{FSBP} ELB.1",
        {"AWS::ElasticLoadBalancingV2::Listener": _is_safe, "aws_lb_listener": _is_safe},
        _true,
    ),
    Rule(
        "database-one-zone", "availability", "high", "Database has no standby in another zone",
        "Set MultiAZ (multi_az) to true", f"{FSBP} RDS.5",
        {"AWS::RDS::DBInstance": "MultiAZ", "aws_db_instance": "multi_az"},
        _true, _MEMBER,
    ),
    Rule(
        "cache-one-zone", "availability", "medium", "Cache has no replica that takes over",
        "Set AutomaticFailoverEnabled (automatic_failover_enabled) to true, with a replica",
        f"{FSBP} ElastiCache.3",
        {
            "AWS::ElastiCache::ReplicationGroup": "AutomaticFailoverEnabled",
            "aws_elasticache_replication_group": "automatic_failover_enabled",
        },
        _true,
    ),
    Rule(
        "group-of-one", "availability", "high", "Auto-scaling group may run a single instance",
        "Set MinSize (min_size) to 2 or more", "AWS Well-Architected REL10-BP01",
        {"AWS::AutoScaling::AutoScalingGroup": "MinSize", "aws_autoscaling_group": "min_size"},
        _two,
    ),
    Rule(
        "group-one-zone", "availability", "high", "Auto-scaling group is in one subnet",
        "Give it subnets in two zones or more", f"{FSBP} AutoScaling.2",
        {
            "AWS::AutoScaling::AutoScalingGroup": "VPCZoneIdentifier",
            "aws_autoscaling_group": "vpc_zone_identifier",
        },
        _two_entries, ("AvailabilityZones", "availability_zones"),
    ),
    Rule(
        "balancer-one-zone", "availability", "high", "Load balancer is in one subnet",
        "Give it subnets in two zones or more", f"{FSBP} ELB.13",
        {"AWS::ElasticLoadBalancingV2::LoadBalancer": "Subnets", "aws_lb": "subnets"},
        _two_entries, ("SubnetMappings", "subnet_mapping"),
    ),
    Rule(
        "group-health-of-balancer", "availability", "medium",
        "Auto-scaling group behind a load balancer does not heed its health checks",
        "Set HealthCheckType (health_check_type) to ELB", f"{FSBP} AutoScaling.1",
        {
            "AWS::AutoScaling::AutoScalingGroup": _heeds_balancer,
            "aws_autoscaling_group": _heeds_balancer,
        },
        _true,
    ),
    Rule(
        "service-of-one", "availability", "medium", "Service runs a single task",
        "Set DesiredCount (desired_count) to 2 or more", "AWS Well-Architected REL10-BP01",
        {"AWS::ECS::Service": "DesiredCount", "aws_ecs_service": "desired_count"},
        lambda value: None if value is None else _two(value),
    ),
    Rule(
        "no-backups", "data", "high", "Database keeps no backups",
        "Set BackupRetentionPeriod (backup_retention_period) to 7 or more", f"{FSBP} RDS.11",
        {
            "AWS::RDS::DBInstance": "BackupRetentionPeriod",
            "aws_db_instance": "backup_retention_period",
        },
        _days, _MEMBER,
    ),
    Rule(
        "no-deletion-protection", "data", "medium", "Database can be deleted by one call",
        "Set DeletionProtection (deletion_protection) to true", f"{FSBP} RDS.7, RDS.8",
        {
            "AWS::RDS::DBInstance": "DeletionProtection",
            "AWS::RDS::DBCluster": "DeletionProtection",
            "aws_db_instance": "deletion_protection", "aws_rds_cluster": "deletion_protection",
        },
        _true, _MEMBER,
    ),
    Rule(
        "no-final-snapshot", "data", "high", "No final snapshot is made when it is deleted",
        "Set skip_final_snapshot to false, and name the snapshot", "Terraform AWS provider",
        {"aws_db_instance": "skip_final_snapshot", "aws_rds_cluster": "skip_final_snapshot"},
        lambda value: value is not True, _MEMBER,
    ),
    Rule(
        "no-point-in-time-recovery", "data", "medium", "Table has no point-in-time recovery",
        "Enable point-in-time recovery", f"{FSBP} DynamoDB.2",
        {
            "AWS::DynamoDB::Table": "PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled",
            "aws_dynamodb_table": "point_in_time_recovery.enabled",
        },
        _true,
    ),
)  # fmt: skip
