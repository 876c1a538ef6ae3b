"""Each rule of the reviews, on templates' and on Terraform's resources."""

import json
from typing import Any

import pytest
from tests.aws_devops.plans import DATABASE

from opswright_aws_devops.review.components import costs
from opswright_aws_devops.review.judgement import EVERY_RULE, judge, types_without_rule
from opswright_aws_devops.review.resources import UNKNOWN, Change, Resource
from opswright_aws_devops.review.rules import RULES

EVERYONE = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}
NARROWED = {**EVERYONE, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}
ADMIN = {"Effect": "Allow", "Action": "*", "Resource": "*"}
WILD = {"Effect": "Allow", "Action": ["s3:*", "sqs:SendMessage"], "Resource": "*"}
EXACT = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}

PRICED = {
    "AWS::EC2::Instance", "aws_autoscaling_group", "aws_db_instance", "aws_ebs_volume", "aws_lb",
    "AWS::EC2::Volume",
}  # fmt: skip


def policy(*statements: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def ingress(first: int, last: int, cidr: Any = "0.0.0.0/0", protocol: str = "tcp") -> Any:
    rule = {"IpProtocol": protocol, "FromPort": first, "ToPort": last, "CidrIp": cidr}
    return {"SecurityGroupIngress": [rule]}


def terraform_ingress(first: int, last: int, *cidrs: str, protocol: str = "tcp") -> Any:
    rule = {"protocol": protocol, "from_port": first, "to_port": last, "cidr_blocks": list(cidrs)}
    return {"ingress": [{**rule, "ipv6_cidr_blocks": [], "self": False, "security_groups": []}]}


LISTENER = "AWS::ElasticLoadBalancingV2::Listener"
BALANCER = "AWS::ElasticLoadBalancingV2::LoadBalancer"
GROUP = "AWS::AutoScaling::AutoScalingGroup"
DB = "AWS::RDS::DBInstance"
SAMPLES: list[tuple[str, str, dict[str, Any], str | None]] = [
    ("imdsv1", "AWS::EC2::Instance", {}, "FAIL"),
    ("imdsv1", "AWS::EC2::Instance", {"MetadataOptions": {"HttpTokens": "required"}}, "PASS"),
    ("imdsv1", "AWS::EC2::Instance", {"LaunchTemplate": {"Version": "1"}}, None),
    ("imdsv1", "aws_instance", {"metadata_options": UNKNOWN}, "UNKNOWN"),
    ("imdsv1", "aws_launch_template", {"metadata_options": [{"http_tokens": "optional"}]}, "FAIL"),
    ("disk-unencrypted", "AWS::EC2::Volume", {"Size": 1}, "FAIL"),
    ("disk-unencrypted", "AWS::EC2::Volume", {"Encrypted": "true"}, "PASS"),
    ("disk-unencrypted", "aws_instance", {"root_block_device": [{"encrypted": False}]}, "FAIL"),
    ("disk-unencrypted", "aws_launch_template",
     {"block_device_mappings": [{"ebs": [{"encrypted": "true"}]}]}, "PASS"),
    ("database-unencrypted", DB, {}, "FAIL"),
    ("database-unencrypted", DB, {"StorageEncrypted": "true"}, "PASS"),
    ("database-unencrypted", DB, {"DBClusterIdentifier": UNKNOWN}, None),
    ("database-unencrypted", "aws_db_instance", {"storage_encrypted": UNKNOWN}, "UNKNOWN"),
    ("database-public", DB, {"PubliclyAccessible": True}, "FAIL"),
    ("database-public", DB, {}, "UNKNOWN"),
    ("database-public", "aws_db_instance", DATABASE, "PASS"),
    ("storage-unencrypted", "AWS::EFS::FileSystem", {}, "FAIL"),
    ("storage-unencrypted", "aws_efs_file_system", {"encrypted": True}, "PASS"),
    ("bucket-public-acl", "AWS::S3::Bucket", {"AccessControl": "PublicRead"}, "FAIL"),
    ("bucket-public-acl", "aws_s3_bucket_acl", {"acl": "private"}, "PASS"),
    ("bucket-public-access", "aws_s3_bucket_public_access_block",
     {"block_public_acls": True, "block_public_policy": False}, "FAIL"),
    ("bucket-public-access", "AWS::S3::Bucket", {}, "PASS"),
    ("listener-clear-text", LISTENER, {"Protocol": "HTTP", "DefaultActions": [{"Type": "forward"}]},
     "FAIL"),
    ("listener-clear-text", "aws_lb_listener",
     {"protocol": "HTTP", "default_action": [{"type": "redirect"}]}, "PASS"),
    ("listener-clear-text", LISTENER, {"Protocol": UNKNOWN}, "UNKNOWN"),
    ("database-one-zone", DB, {"MultiAZ": False}, "FAIL"),
    ("database-one-zone", "aws_db_instance", {"multi_az": UNKNOWN}, "UNKNOWN"),
    ("cache-one-zone", "AWS::ElastiCache::ReplicationGroup", {}, "FAIL"),
    ("cache-one-zone", "aws_elasticache_replication_group", {"automatic_failover_enabled": True},
     "PASS"),
    ("group-of-one", GROUP, {"MinSize": "1"}, "FAIL"),
    ("group-of-one", "aws_autoscaling_group", {"min_size": 2}, "PASS"),
    ("group-one-zone", GROUP, {"VPCZoneIdentifier": [UNKNOWN]}, "FAIL"),
    ("group-one-zone", GROUP, {"VPCZoneIdentifier": [UNKNOWN, UNKNOWN]}, "PASS"),
    ("group-one-zone", "aws_autoscaling_group", {"vpc_zone_identifier": UNKNOWN}, "UNKNOWN"),
    ("balancer-one-zone", BALANCER, {"Subnets": ["subnet-a"]}, "FAIL"),
    ("balancer-one-zone", "aws_lb", {"subnets": UNKNOWN}, "UNKNOWN"),
    ("balancer-one-zone", BALANCER, {"SubnetMappings": [{}]}, None),
    ("group-health-of-balancer", GROUP, {"TargetGroupARNs": [UNKNOWN]}, "FAIL"),
    ("group-health-of-balancer", GROUP,
     {"TargetGroupARNs": [UNKNOWN], "HealthCheckType": "ELB"}, "PASS"),
    ("group-health-of-balancer", "aws_autoscaling_group", {"target_group_arns": UNKNOWN},
     "UNKNOWN"),
    ("service-of-one", "AWS::ECS::Service", {"DesiredCount": 1}, "FAIL"),
    ("service-of-one", "aws_ecs_service", {"desired_count": 3}, "PASS"),
    ("no-backups", DB, {"BackupRetentionPeriod": "0"}, "FAIL"),
    ("no-backups", "aws_db_instance", DATABASE, "PASS"),
    ("no-deletion-protection", DB, {}, "FAIL"),
    ("no-deletion-protection", "aws_db_instance", DATABASE, "PASS"),
    ("no-final-snapshot", "aws_db_instance", {"skip_final_snapshot": True}, "FAIL"),
    ("no-final-snapshot", "aws_rds_cluster", {"skip_final_snapshot": UNKNOWN}, "UNKNOWN"),
    ("no-point-in-time-recovery", "AWS::DynamoDB::Table", {}, "FAIL"),
    ("no-point-in-time-recovery", "aws_dynamodb_table",
     {"point_in_time_recovery": [{"enabled": True}]}, "PASS"),
    ("open-to-the-internet", "AWS::EC2::SecurityGroup", ingress(22, 22), "FAIL"),
    ("open-to-the-internet", "AWS::EC2::SecurityGroup", ingress(443, 443), "PASS"),
    ("open-to-the-internet", "AWS::EC2::SecurityGroup", ingress(80, 443), "FAIL"),
    ("open-to-the-internet", "AWS::EC2::SecurityGroup", ingress(22, 22, "10.0.0.0/8"), "PASS"),
    ("open-to-the-internet", "AWS::EC2::SecurityGroup", ingress(22, 22, UNKNOWN), "UNKNOWN"),
    ("open-to-the-internet", "aws_security_group", {"ingress": UNKNOWN}, "UNKNOWN"),
    ("open-to-the-internet", "aws_security_group",
     terraform_ingress(0, 0, "0.0.0.0/1", protocol="-1"), "FAIL"),
    ("open-to-the-internet", "aws_security_group_rule",
     {"type": "ingress", "protocol": "tcp", "from_port": 5432, "to_port": 5432,
      "ipv6_cidr_blocks": ["::/0"]}, "FAIL"),
    ("open-to-the-internet", "aws_security_group_rule",
     {"type": "egress", "protocol": "-1", "from_port": 0, "to_port": 0,
      "cidr_blocks": ["0.0.0.0/0"]}, None),
    ("open-to-the-internet", "aws_vpc_security_group_ingress_rule",
     {"ip_protocol": "tcp", "from_port": 3389, "to_port": 3389, "cidr_ipv4": "0.0.0.0/0"}, "FAIL"),
    ("policy-allows-everything", "AWS::IAM::Policy", {"PolicyDocument": policy(ADMIN)}, "FAIL"),
    ("policy-allows-everything", "aws_iam_policy", {"policy": json.dumps(policy(ADMIN))}, "FAIL"),
    ("policy-allows-everything", "aws_iam_policy", {"policy": UNKNOWN}, "UNKNOWN"),
    ("policy-allows-everything", "aws_iam_role_policy_attachment",
     {"policy_arn": "arn:aws:iam::aws:policy/AdministratorAccess"}, "FAIL"),
    ("policy-wildcard-actions", "AWS::IAM::Role", {"Policies": [{"PolicyDocument": policy(WILD)}]},
     "FAIL"),
    ("policy-wildcard-actions", "aws_iam_role_policy", {"policy": json.dumps(policy(EXACT))},
     "PASS"),
    ("policy-for-everyone", "AWS::S3::BucketPolicy", {"PolicyDocument": policy(EVERYONE)}, "FAIL"),
    ("policy-for-everyone", "AWS::SQS::QueuePolicy", {"PolicyDocument": policy(NARROWED)}, "PASS"),
    ("policy-for-everyone", "aws_s3_bucket_policy", {"policy": UNKNOWN}, "UNKNOWN"),
    ("policy-for-everyone", "AWS::IAM::Role",
     {"AssumeRolePolicyDocument": policy({**EVERYONE, "Principal": {"AWS": "*"}})}, "FAIL"),
    ("policy-for-everyone", "aws_lambda_permission", {"principal": "*"}, "FAIL"),
    ("policy-for-everyone", "AWS::Lambda::Permission",
     {"Principal": "*", "SourceAccount": "123456789012"}, "PASS"),
    ("secret-in-clear-text", DB, {"MasterUserPassword": "correct horse"}, "FAIL"),
    ("secret-in-clear-text", DB,
     {"MasterUserPassword": "{{resolve:secretsmanager:shop:SecretString:password}}"}, None),
    ("secret-in-clear-text", DB, {"MasterUserPassword": UNKNOWN}, None),
    ("secret-in-clear-text", "AWS::ECS::TaskDefinition",
     {"ContainerDefinitions": [{"Environment": [{"Name": "DB_PASSWORD", "Value": "battery"}]}]},
     "FAIL"),
    ("secret-in-clear-text", "aws_instance",
     {"user_data_base64": "ZXhwb3J0IERCX1BBU1NXT1JEPWh1bnRlcjI="}, "FAIL"),
    ("single-server", "aws_instance", {"instance_type": "t3.small"}, "FAIL"),
]  # fmt: skip


def verdicts(rule: str, *resources: Resource) -> set[str]:
    found, _ = judge(resources, [])
    return {finding.verdict for finding in found if finding.rule == rule}


@pytest.mark.parametrize(("rule", "kind", "properties", "verdict"), SAMPLES)
def test_a_rule_says_of_a_resource(
    rule: str, kind: str, properties: dict[str, Any], verdict: str | None
) -> None:
    found = verdicts(rule, Resource("it", kind, properties))
    assert found == ({verdict} if verdict in {"FAIL", "UNKNOWN"} else set())


def test_every_rule_has_a_sample_that_it_finds() -> None:
    seen = {rule for rule, _, _, verdict in SAMPLES if verdict == "FAIL"}
    of_the_whole = {"data-loss", "goes-with-the-stack", "one-nat-gateway"}
    assert {rule.id for rule in EVERY_RULE} == seen | of_the_whole


def test_no_secret_is_in_a_finding() -> None:
    found, _ = judge([Resource("it", DB, {"MasterUserPassword": "correct horse"})], [])
    (secret,) = [finding for finding in found if finding.rule == "secret-in-clear-text"]
    assert "MasterUserPassword" in secret.problem
    assert "correct horse" not in str(found)


SUBNETS = [Resource(f"s{n}", "aws_subnet", {}) for n in range(4)]


def nat(address: str, **properties: Any) -> Resource:
    return Resource(address, "aws_nat_gateway", properties)


@pytest.mark.parametrize(
    ("nats", "verdict"),
    [
        ([nat("a")], {"FAIL"}),
        ([nat("a"), nat("b")], set()),
        ([nat("a", availability_mode="regional")], set()),
        ([nat("a", availability_mode=UNKNOWN)], {"UNKNOWN"}),
        ([], set()),
    ],
)
def test_one_nat_gateway_for_several_subnets_is_a_single_point_of_failure(
    nats: list[Resource], verdict: set[str]
) -> None:
    assert verdicts("one-nat-gateway", *SUBNETS, *nats) == verdict


def gone(kind: str, properties: dict[str, Any], verb: Any = "delete", **attributes: Any) -> Change:
    before = Resource("it", kind, properties, attributes)
    return Change(verb, before, None if verb == "delete" else before)


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (gone("aws_db_instance", {**DATABASE, "skip_final_snapshot": True}), {"FAIL"}),
        (gone("aws_db_instance", DATABASE), set()),
        (gone("aws_s3_bucket", {"force_destroy": True}), {"FAIL"}),
        (gone("aws_s3_bucket", {"force_destroy": False}), set()),
        (gone("aws_efs_file_system", {}, "replace"), {"FAIL"}),
        (gone("aws_efs_file_system", {}, "forget"), set()),
        (gone("aws_instance", {}), set()),
        (gone("AWS::S3::Bucket", {}), {"FAIL"}),
        (gone("AWS::S3::Bucket", {}, DeletionPolicy="Retain"), set()),
        (gone("AWS::S3::Bucket", {}, "replace", DeletionPolicy="Retain"), {"FAIL"}),
        (gone("AWS::S3::Bucket", {}, "replace", UpdateReplacePolicy="Retain"), set()),
        (gone(DB, {}), set()),
        (gone(DB, {}, "replace"), {"FAIL"}),
        (Change("update", Resource("it", DB, {}), Resource("it", DB, {}), (), True), {"UNKNOWN"}),
    ],
)
def test_the_data_that_a_change_costs_is_named(change: Change, verdict: set[str]) -> None:
    found, _ = judge([], [change])
    assert {finding.verdict for finding in found if finding.rule == "data-loss"} == verdict


def test_what_no_rule_looks_at_is_named() -> None:
    kinds = [Resource("a", "AWS::S3::Bucket", {}), Resource("b", "AWS::Synthetics::Canary", {})]
    assert types_without_rule(kinds) == ["AWS::Synthetics::Canary"]


ODD: list[Any] = [
    None,
    "",
    "x",
    3,
    [],
    [1],
    ["a"],
    [[]],
    [None],
    {},
    {"a": 1},
    [{"a": []}],
    UNKNOWN,
]
NAMES = sorted({name for _, _, properties, _ in SAMPLES for name in properties})


@pytest.mark.parametrize("value", ODD, ids=repr)
def test_values_of_the_wrong_form_are_judged_without_a_crash(value: Any) -> None:
    kinds = {kind for rule in EVERY_RULE for kind in rule.paths} | {s[1] for s in SAMPLES} | PRICED
    resources = [Resource(kind, kind, dict.fromkeys(NAMES, value)) for kind in sorted(kinds)]
    judge(resources, [Change("delete", resource, None) for resource in resources])
    costs(resources, {})


@pytest.mark.parametrize(
    ("rule", "type_", "source"),
    [
        ("imdsv1", "AWS::EC2::Instance", "FSBP EC2.8"),
        ("imdsv1", "aws_launch_template", "FSBP EC2.170"),
        ("imdsv1", "AWS::AutoScaling::LaunchConfiguration", "FSBP AutoScaling.3"),
        ("database-unencrypted", "aws_db_instance", "FSBP RDS.3"),
        ("database-unencrypted", "AWS::RDS::DBCluster", "FSBP RDS.27"),
        ("database-unencrypted", "aws_docdb_cluster", "FSBP DocumentDB.1"),
        ("database-unencrypted", "AWS::Neptune::DBCluster", "FSBP Neptune.1"),
        ("database-unencrypted", "aws_redshift_cluster", "FSBP Redshift.10"),
        ("database-public", "AWS::Redshift::Cluster", "FSBP Redshift.1"),
        ("storage-unencrypted", "aws_elasticache_replication_group", "FSBP ElastiCache.4"),
    ],
)
def test_a_finding_cites_the_control_of_its_own_type(rule: str, type_: str, source: str) -> None:
    (found,) = [one for one in RULES if one.id == rule]
    assert type_ in found.paths
    assert found.finding(Resource("it", type_, {}), "FAIL").source == source
