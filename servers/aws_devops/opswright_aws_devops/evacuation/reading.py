"""Reads a region, and what another one has of it."""

from collections.abc import Callable, Mapping
from typing import Any

from opswright_aws_devops.evacuation import copies
from opswright_aws_devops.evacuation.copies import Copy
from opswright_aws_devops.lookup import if_exists
from opswright_core.aws import Aws
from opswright_core.parallel import each

MOST_ASKED = 100
"""Resources of a kind that are asked about one by one."""


def _keys(here: Aws, there: Aws) -> list[Copy]:
    kms = here.client("kms")
    ids = [key["KeyId"] for key in here.pages("kms", "list_keys", "Keys")]
    found = each(ids[:MOST_ASKED], lambda key: kms.describe_key(KeyId=key)["KeyMetadata"])
    own = [key for key in found if key["KeyManager"] == "CUSTOMER" and key["Enabled"]]
    judged = [copies.judge_key(key, there.region) for key in own]
    return judged + _not_asked(ids)


def _not_asked(ids: list[str]) -> list[Copy]:
    return [Copy(one, "UNKNOWN", f"only {MOST_ASKED} are asked about") for one in ids[MOST_ASKED:]]


def _secrets(here: Aws, there: Aws) -> list[Copy]:
    found = here.pages("secretsmanager", "list_secrets", "SecretList")
    replicas = there.pages("secretsmanager", "list_secrets", "SecretList") if found else []
    return copies.judge_secrets(found, replicas, here.region)


def _parameters(here: Aws, there: Aws) -> list[Copy]:
    found = [p["Name"] for p in here.pages("ssm", "describe_parameters", "Parameters")]
    known = there.pages("ssm", "describe_parameters", "Parameters") if found else []
    return copies.judge_parameters(found, {p["Name"] for p in known})


def _databases(here: Aws, there: Aws) -> list[Copy]:
    found = [
        one
        for one in here.pages("rds", "describe_db_instances", "DBInstances")
        if not one.get("DBClusterIdentifier")
    ]
    snapshots = there.pages("rds", "describe_db_snapshots", "DBSnapshots") if found else []
    return [copies.judge_database(one, snapshots, there.region) for one in found]


def _clusters(here: Aws, there: Aws) -> list[Copy]:
    found = here.pages("rds", "describe_db_clusters", "DBClusters")
    if not found:
        return []
    stores = here.pages("rds", "describe_global_clusters", "GlobalClusters")
    members = [[m["DBClusterArn"] for m in g.get("GlobalClusterMembers", [])] for g in stores]
    snapshots = there.pages("rds", "describe_db_cluster_snapshots", "DBClusterSnapshots")
    return [copies.judge_cluster(one, members, snapshots, there.region) for one in found]


def _tables(here: Aws, there: Aws) -> list[Copy]:
    dynamodb = here.client("dynamodb")
    names = here.pages("dynamodb", "list_tables", "TableNames")
    found = each(names[:MOST_ASKED], lambda n: dynamodb.describe_table(TableName=n)["Table"])
    return [copies.judge_table(one, there.region) for one in found] + _not_asked(names)


def _buckets(here: Aws, there: Aws) -> list[Copy]:
    s3 = here.client("s3")
    paging = {"PaginationConfig": {"PageSize": 1000}}  # S3 tells the region only with a page size
    listed = here.pages("s3", "list_buckets", "Buckets", **paging)
    regions = {one["Name"]: one.get("BucketRegion") or _location(s3, one) for one in listed}
    names = [name for name, region in regions.items() if region == here.region]

    def rules(name: str) -> list[dict[str, Any]]:
        answer = if_exists(lambda: s3.get_bucket_replication(Bucket=name))
        found: list[dict[str, Any]] = answer["ReplicationConfiguration"]["Rules"] if answer else []
        return found

    found = each(names[:MOST_ASKED], lambda name: (name, rules(name)))
    judged = [copies.judge_bucket(name, own, regions, there.region) for name, own in found]
    return judged + _not_asked(names)


def _location(s3: Any, bucket: Mapping[str, Any]) -> str:
    """A bucket's region where the list does not tell it; none stands for the first of all."""
    found = s3.get_bucket_location(Bucket=bucket["Name"])["LocationConstraint"]
    region: str = {None: "us-east-1", "EU": "eu-west-1"}.get(found, found)
    return region


def _file_systems(here: Aws, there: Aws) -> list[Copy]:
    found = here.pages("efs", "describe_file_systems", "FileSystems")
    own = here.pages("efs", "describe_replication_configurations", "Replications") if found else []
    return [copies.judge_file_system(one, own, there.region) for one in found]


def _caches(here: Aws, there: Aws) -> list[Copy]:
    found = here.pages("elasticache", "describe_replication_groups", "ReplicationGroups")
    stores: dict[str, list[str]] = {}
    if any((one.get("GlobalReplicationGroupInfo") or {}) for one in found):
        for store in here.pages(
            "elasticache", "describe_global_replication_groups", "GlobalReplicationGroups",
            ShowMemberInfo=True,
        ):  # fmt: skip
            members = [m["ReplicationGroupRegion"] for m in store.get("Members", [])]
            stores[store["GlobalReplicationGroupId"]] = members
    return [copies.judge_cache(one, stores, there.region) for one in found]


def _volumes(here: Aws, there: Aws) -> list[Copy]:
    found = here.pages("ec2", "describe_volumes", "Volumes")
    if not found:
        return []
    own = here.pages("ec2", "describe_snapshots", "Snapshots", OwnerIds=["self"])
    other = there.pages("ec2", "describe_snapshots", "Snapshots", OwnerIds=["self"])
    return [copies.judge_volume(one, own, other) for one in found]


def _images(here: Aws, there: Aws) -> list[Copy]:
    found = here.pages("ec2", "describe_images", "Images", Owners=["self"])
    other = there.pages("ec2", "describe_images", "Images", Owners=["self"]) if found else []
    return [copies.judge_image(one, other, here.region) for one in found]


def _repositories(here: Aws, there: Aws) -> list[Copy]:
    found = [
        r["repositoryName"] for r in here.pages("ecr", "describe_repositories", "repositories")
    ]
    if not found:
        return []
    registry = here.client("ecr").describe_registry()
    rules = registry.get("replicationConfiguration", {}).get("rules", [])
    return [copies.judge_repository(name, rules, there.region) for name in found]


COPIED: Mapping[str, Callable[[Aws, Aws], list[Copy]]] = {
    "kms:key": _keys,
    "secretsmanager:secret": _secrets,
    "ssm:parameter": _parameters,
    "rds:db": _databases,
    "rds:cluster": _clusters,
    "dynamodb:table": _tables,
    "s3:bucket": _buckets,
    "efs:filesystem": _file_systems,
    "elasticache:replicationgroup": _caches,
    "ec2:volume": _volumes,
    "ec2:image": _images,
    "ecr:repository": _repositories,
}
"""What can have a copy elsewhere: reads it in the first region and what the second has of it."""


def _instances(here: Aws) -> list[str]:
    reservations = here.pages("ec2", "describe_instances", "Reservations")
    return [
        f"{one['InstanceId']} {one['InstanceType']}"
        for reservation in reservations
        for one in reservation["Instances"]
        if one["State"]["Name"] not in {"terminated", "shutting-down"}
    ]


def _groups(here: Aws) -> list[str]:
    found = here.pages("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups")
    return [f"{one['AutoScalingGroupName']} {one['DesiredCapacity']} servers" for one in found]


def _listed(service: str, operation: str, items: str, key: str) -> Callable[[Aws], list[str]]:
    def read(here: Aws) -> list[str]:
        found = here.pages(service, operation, items)
        return [one if isinstance(one, str) else one[key] for one in found]

    return read


def _own_vpcs(here: Aws) -> list[str]:
    found = here.pages("ec2", "describe_vpcs", "Vpcs")
    return [f"{one['VpcId']} {one['CidrBlock']}" for one in found if not one["IsDefault"]]


REBUILT: Mapping[str, Callable[[Aws], list[str]]] = {
    "ec2:vpc": _own_vpcs,
    "ec2:instance": _instances,
    "autoscaling:group": _groups,
    "lambda:function": _listed("lambda", "list_functions", "Functions", "FunctionName"),
    "ecs:cluster": _listed("ecs", "list_clusters", "clusterArns", ""),
    "sqs:queue": _listed("sqs", "list_queues", "QueueUrls", ""),
    "sns:topic": _listed("sns", "list_topics", "Topics", "TopicArn"),
    "acm:certificate": _listed(
        "acm", "list_certificates", "CertificateSummaryList", "CertificateArn"
    ),
    "elb:loadbalancer": _listed(
        "elbv2", "describe_load_balancers", "LoadBalancers", "LoadBalancerName"
    ),
}
"""What is made again there: reads what there is of it."""
