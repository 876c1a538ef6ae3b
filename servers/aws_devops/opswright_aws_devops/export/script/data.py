"""Databases and buckets in an exported script. Each function is copied into it as it stands."""

import json
from typing import Any

from opswright_aws_devops.export.script.building import Building, or_none


def db_subnet_group(
    it: Building, key: str, *, DBSubnetGroupName: str, Tags: Any = (), **own: Any
) -> dict[str, Any]:
    """The subnets of a database."""
    rds, which = it.client("rds"), {"DBSubnetGroupName": DBSubnetGroupName}

    def find() -> dict[str, Any] | None:
        found = or_none(
            lambda: rds.describe_db_subnet_groups(**which), "DBSubnetGroupNotFoundFault"
        )
        if not found:
            return None
        group: dict[str, Any] = found["DBSubnetGroups"][0]
        tags = rds.list_tags_for_resource(ResourceName=group["DBSubnetGroupArn"])["TagList"]
        it.must_be_ours(key, f"DB subnet group {DBSubnetGroupName}", tags)
        return group

    def create() -> dict[str, Any]:
        made = rds.create_db_subnet_group(**which, Tags=it.tags(key, Tags), **own)
        group: dict[str, Any] = made["DBSubnetGroup"]
        return group

    return it.part(key, "DB subnet group", find, create)


def db_instance(
    it: Building, key: str, *, DBInstanceIdentifier: str, Tags: Any = (),
    AllocatedStorage: str = "", VPCSecurityGroups: Any = (), **own: Any,
) -> dict[str, Any]:  # fmt: skip
    """A database, available: that takes 10 to 20 minutes."""
    rds, which = it.client("rds"), {"DBInstanceIdentifier": DBInstanceIdentifier}

    def find() -> dict[str, Any] | None:
        found = or_none(
            lambda: rds.describe_db_instances(**which),
            "DBInstanceNotFound",
            "DBInstanceNotFoundFault",
        )
        if not found:
            return None
        database: dict[str, Any] = found["DBInstances"][0]
        it.must_be_ours(key, f"DB instance {DBInstanceIdentifier}", database.get("TagList", []))
        return database

    def create() -> dict[str, Any]:
        if AllocatedStorage:  # a cluster's instance has the cluster's
            own["AllocatedStorage"] = int(AllocatedStorage)
            own["VpcSecurityGroupIds"] = VPCSecurityGroups
        made = rds.create_db_instance(**which, Tags=it.tags(key, list(Tags)), **own)
        database: dict[str, Any] = made["DBInstance"]
        return database

    made = it.part(key, "DB instance", find, create)
    if it.dry_run:
        return made
    it.wait("rds", "db_instance_available", **which)
    database: dict[str, Any] = rds.describe_db_instances(**which)["DBInstances"][0]
    return {
        **database,
        "Endpoint.Address": database["Endpoint"]["Address"],
        "Endpoint.Port": database["Endpoint"]["Port"],
        "MasterUserSecret.SecretArn": database.get("MasterUserSecret", {}).get("SecretArn", ""),
    }


def db_cluster(
    it: Building, key: str, *, DBClusterIdentifier: str, Tags: Any = (), **own: Any
) -> dict[str, Any]:
    """A cluster, available; its instances come after it."""
    rds, which = it.client("rds"), {"DBClusterIdentifier": DBClusterIdentifier}

    def find() -> dict[str, Any] | None:
        found = or_none(
            lambda: rds.describe_db_clusters(**which), "DBClusterNotFound", "DBClusterNotFoundFault"
        )
        if not found:
            return None
        cluster: dict[str, Any] = found["DBClusters"][0]
        it.must_be_ours(key, f"DB cluster {DBClusterIdentifier}", cluster.get("TagList", []))
        return cluster

    def create() -> dict[str, Any]:
        made = rds.create_db_cluster(**which, Tags=it.tags(key, list(Tags)), **own)
        cluster: dict[str, Any] = made["DBCluster"]
        return cluster

    made = it.part(key, "DB cluster", find, create)
    if it.dry_run:
        return made
    it.wait("rds", "db_cluster_available", **which)
    cluster: dict[str, Any] = rds.describe_db_clusters(**which)["DBClusters"][0]
    return {
        **cluster,
        "Endpoint.Address": cluster["Endpoint"],
        "Endpoint.Port": cluster["Port"],
        "ReadEndpoint.Address": cluster["ReaderEndpoint"],
        "MasterUserSecret.SecretArn": cluster.get("MasterUserSecret", {}).get("SecretArn", ""),
    }


def bucket(
    it: Building,
    key: str,
    *,
    BucketName: str,
    Tags: Any = (),
    PublicAccessBlockConfiguration: Any = None,
    OwnershipControls: Any = None,
    BucketEncryption: Any = None,
    LifecycleConfiguration: Any = None,
    VersioningConfiguration: Any = None,
) -> dict[str, Any]:
    """A bucket with its settings."""
    s3, which = it.client("s3"), {"Bucket": BucketName}
    region = it.session.region_name
    partition = it.session.get_partition_for_region(region)
    attributes = {"BucketName": BucketName, "Arn": f"arn:{partition}:s3:::{BucketName}"}

    def find() -> dict[str, Any] | None:
        if or_none(lambda: s3.head_bucket(**which), "404", "NoSuchBucket") is None:
            return None
        tags = or_none(lambda: s3.get_bucket_tagging(**which)["TagSet"], "NoSuchTagSet")
        it.must_be_ours(key, f"Bucket {BucketName}", tags or [])
        return attributes

    def create() -> dict[str, Any]:
        # Tagged as it is made, so that a run cut off here finds its own bucket again.
        made: dict[str, Any] = {"Tags": it.tags(key, Tags)}
        if region != "us-east-1":  # the one region that must not be named
            made["LocationConstraint"] = region
        s3.create_bucket(**which, CreateBucketConfiguration=made)
        s3.get_waiter("bucket_exists").wait(**which)
        s3.put_bucket_tagging(**which, Tagging={"TagSet": it.tags(key, Tags)})
        return attributes

    made = it.part(key, "bucket", find, create)
    if block := PublicAccessBlockConfiguration:
        it.setting(s3.put_public_access_block, **which, PublicAccessBlockConfiguration=block)
    if OwnershipControls:
        it.setting(s3.put_bucket_ownership_controls, **which, OwnershipControls=OwnershipControls)
    if BucketEncryption:
        rules = [
            {
                "ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"],
                "BucketKeyEnabled": rule["BucketKeyEnabled"],
            }
            for rule in BucketEncryption["ServerSideEncryptionConfiguration"]
        ]
        by_default = {"Rules": rules}
        it.setting(s3.put_bucket_encryption, **which, ServerSideEncryptionConfiguration=by_default)
    if versioning := VersioningConfiguration:
        it.setting(s3.put_bucket_versioning, **which, VersioningConfiguration=versioning)
    if LifecycleConfiguration:
        rules = [lifecycle_rule(rule) for rule in LifecycleConfiguration["Rules"]]
        tidy = {"Rules": rules}
        it.setting(s3.put_bucket_lifecycle_configuration, **which, LifecycleConfiguration=tidy)
    return made


def lifecycle_rule(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule as S3 takes it."""
    names = {"Id": "ID", "ExpirationInDays": "Expiration"}
    own = {names.get(name, name): value for name, value in rule.items() if name != "Prefix"}
    if "Expiration" in own:
        own["Expiration"] = {"Days": own["Expiration"]}
    return {**own, "Filter": {"Prefix": rule.get("Prefix", "")}}


def bucket_policy(it: Building, key: str, *, Bucket: str, PolicyDocument: Any) -> dict[str, Any]:
    """The policy of a bucket; sent again it stays the same."""
    policy = json.dumps(PolicyDocument)
    it.setting(it.client("s3").put_bucket_policy, Bucket=Bucket, Policy=policy)
    return {"Bucket": Bucket}
