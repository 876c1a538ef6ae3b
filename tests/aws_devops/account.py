"""All that an account holds, as its services tell it: to compare before a change and after."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

Clients = Callable[[str], Any]
Rows = Iterator[tuple[str, Any]]

_LISTS: dict[str, tuple[tuple[str, str], ...]] = {
    "ec2": (
        ("describe_vpcs", "Vpcs"), ("describe_subnets", "Subnets"),
        ("describe_route_tables", "RouteTables"), ("describe_security_groups", "SecurityGroups"),
        ("describe_internet_gateways", "InternetGateways"),
        ("describe_egress_only_internet_gateways", "EgressOnlyInternetGateways"),
        ("describe_addresses", "Addresses"), ("describe_nat_gateways", "NatGateways"),
        ("describe_launch_templates", "LaunchTemplates"), ("describe_flow_logs", "FlowLogs"),
        ("describe_vpc_endpoints", "VpcEndpoints"), ("describe_volumes", "Volumes"),
    ),
    "autoscaling": (
        ("describe_auto_scaling_groups", "AutoScalingGroups"),
        ("describe_scheduled_actions", "ScheduledUpdateGroupActions"),
    ),
    "elbv2": (
        ("describe_load_balancers", "LoadBalancers"), ("describe_target_groups", "TargetGroups"),
    ),
    "rds": (
        ("describe_db_instances", "DBInstances"), ("describe_db_clusters", "DBClusters"),
        ("describe_db_subnet_groups", "DBSubnetGroups"),
    ),
    "iam": (("list_instance_profiles", "InstanceProfiles"), ("list_users", "Users")),
    "sns": (("list_topics", "Topics"), ("list_subscriptions", "Subscriptions")),
    "apigatewayv2": (("get_apis", "Items"),),
    "apigateway": (("get_rest_apis", "items"),),
    "logs": (("describe_log_groups", "logGroups"),),
    "acm": (("list_certificates", "CertificateSummaryList"),),
    "ecr": (("describe_repositories", "repositories"),),
    "secretsmanager": (("list_secrets", "SecretList"),),
}  # fmt: skip
"""Of the services whose lists say all that is looked at: their operations and where the items are.

Operations are boto3's names."""

_VOLATILE = frozenset(
    {
        "ResponseMetadata", "LastModified", "LastModifiedTime", "LastModifiedTimestamp",
        "LastChangedDate", "RevisionId", "ETag", "VersionId", "Location", "StartTime",
        "LatestRestorableTime", "EarliestRestorableTime", "AvailableIpAddressCount",
        "LatestVersionNumber",
    }
)  # fmt: skip
"""What changes by itself."""

_STATES = ("State", "Status", "status", "Ipv6CidrBlockState", "SubnetIpv6CidrBlockState")
_GONE = {"deleted", "deleting", "terminated", "disassociated", "INACTIVE"}


def account(client_of: Clients, services: Iterable[str]) -> dict[str, list[Any]]:
    """What the services hold, by kind."""
    found: dict[str, list[Any]] = {}
    for service in sorted(services):
        client = client_of(service)
        for operation, key in _LISTS.get(service, ()):
            found[f"{service} {key}"] = list(getattr(client, operation)()[key])
        for kind, item in _MORE.get(service, lambda _: iter(()))(client):
            found.setdefault(f"{service} {kind}", []).append(item)
    return {kind: [_steady(i) for i in items if not _is_gone(i)] for kind, items in found.items()}


def _is_gone(item: Any) -> bool:
    if not isinstance(item, dict):
        return False
    state = next((item[key] for key in _STATES if item.get(key)), None)
    if isinstance(state, dict):
        state = state.get("Name") or state.get("State")
    return state in _GONE


def _steady(value: Any) -> Any:
    """A value without what changes by itself, its lists in one order."""
    if isinstance(value, dict):
        return {key: _steady(inner) for key, inner in value.items() if key not in _VOLATILE}
    if isinstance(value, list):
        return sorted((_steady(item) for item in value if not _is_gone(item)), key=repr)
    return value


def _maybe(read: Callable[..., Any], **parameters: Any) -> Any:
    """What a read answers, None where there is nothing of the kind."""
    from botocore.exceptions import ClientError

    try:
        return read(**parameters)
    except ClientError:
        return None


def _of_ec2(ec2: Any) -> Rows:
    for reservation in ec2.describe_instances()["Reservations"]:
        for instance in reservation["Instances"]:
            yield "Instances", instance


def _of_autoscaling(asg: Any) -> Rows:
    for group in asg.describe_auto_scaling_groups()["AutoScalingGroups"]:
        # The emulator keeps the policies of groups that are gone.
        which = {"AutoScalingGroupName": group["AutoScalingGroupName"]}
        yield "Policies", asg.describe_policies(**which)["ScalingPolicies"]


def _of_elbv2(elb: Any) -> Rows:
    for balancer in elb.describe_load_balancers()["LoadBalancers"]:
        arn = balancer["LoadBalancerArn"]
        yield "Attributes", elb.describe_load_balancer_attributes(LoadBalancerArn=arn)
        for listener in elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]:
            yield "Listeners", listener
            yield "Rules", elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]


def _of_iam(iam: Any) -> Rows:
    for role in iam.list_roles()["Roles"]:
        name = {"RoleName": role["RoleName"]}
        policies = iam.list_role_policies(**name)["PolicyNames"]
        yield (
            "Roles",
            [
                role,
                [iam.get_role_policy(PolicyName=policy, **name) for policy in policies],
                iam.list_attached_role_policies(**name)["AttachedPolicies"],
            ],
        )


def _of_s3(s3: Any) -> Rows:
    for bucket in s3.list_buckets()["Buckets"]:
        which = {"Bucket": bucket["Name"]}
        yield "Buckets", bucket["Name"]
        for read in (
            s3.get_bucket_policy, s3.get_bucket_encryption, s3.get_bucket_logging,
            s3.get_bucket_lifecycle_configuration, s3.get_public_access_block,
            s3.get_bucket_ownership_controls, s3.get_bucket_versioning,
        ):  # fmt: skip
            yield read.__name__, _maybe(read, **which)
        if not bucket["Name"].endswith("-logs"):  # filled by and by
            yield "Objects", s3.list_objects_v2(**which).get("Contents", [])


def _of_sqs(sqs: Any) -> Rows:
    for url in sqs.list_queues().get("QueueUrls", []):
        yield "Queues", sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]


def _of_cloudformation(stacks: Any) -> Rows:
    for stack in stacks.describe_stacks()["Stacks"]:
        name = {"StackName": stack["StackName"]}
        template = _maybe(stacks.get_template, **name)
        yield "Stacks", [stack["StackName"], stack.get("Parameters"), template]
        sets = stacks.list_change_sets(**name)["Summaries"]
        yield (
            "ChangeSets",
            [
                s
                for s in sets
                if "-ch-" in s["ChangeSetName"] and s["ExecutionStatus"] != "EXECUTE_COMPLETE"
            ],
        )


def _of_lambda(functions: Any) -> Rows:
    for function in functions.list_functions()["Functions"]:
        name = {"FunctionName": function["FunctionName"]}
        yield "Functions", function
        yield "Versions", functions.list_versions_by_function(**name)["Versions"]
        yield "Aliases", functions.list_aliases(**name)["Aliases"]
        for read in (functions.get_policy, functions.get_function_url_config):
            yield "access", _maybe(read, **name)
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        yield "Triggers", mapping


def _of_events(events: Any) -> Rows:
    for rule in events.list_rules()["Rules"]:
        yield "Rules", [rule, events.list_targets_by_rule(Rule=rule["Name"])["Targets"]]


def _of_route53(route53: Any) -> Rows:
    for zone in route53.list_hosted_zones()["HostedZones"]:
        records = route53.list_resource_record_sets(HostedZoneId=zone["Id"])
        yield "Zones", [zone["Id"], records["ResourceRecordSets"]]
    for check in route53.list_health_checks()["HealthChecks"]:
        yield "HealthChecks", check


def _of_cloudfront(cloudfront: Any) -> Rows:
    for item in cloudfront.list_distributions()["DistributionList"].get("Items", []):
        yield "Distributions", item
    for item in cloudfront.list_origin_access_controls()["OriginAccessControlList"].get(
        "Items", []
    ):
        yield "OriginAccessControls", item


def _of_ecs(ecs: Any) -> Rows:
    for cluster in ecs.list_clusters()["clusterArns"]:
        (there,) = ecs.describe_clusters(clusters=[cluster])["clusters"]
        yield "Clusters", {key: there[key] for key in ("clusterName", "status")}
        for arn in ecs.list_services(cluster=cluster)["serviceArns"]:
            (service,) = ecs.describe_services(cluster=cluster, services=[arn])["services"]
            kept = ("serviceName", "status", "taskDefinition", "desiredCount", "loadBalancers")
            yield "Services", {key: service.get(key) for key in kept}
    for arn in ecs.list_task_definitions()["taskDefinitionArns"]:
        yield "Definitions", arn


def _of_scaling(scaling: Any) -> Rows:
    for target in scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]:
        which = {"ServiceNamespace": "ecs", "ResourceId": target["ResourceId"]}
        # The emulator keeps the policies of targets that are gone.
        yield "Targets", [target, scaling.describe_scaling_policies(**which)["ScalingPolicies"]]


_MORE: dict[str, Callable[[Any], Rows]] = {
    "ec2": _of_ec2, "autoscaling": _of_autoscaling, "elbv2": _of_elbv2, "iam": _of_iam,
    "s3": _of_s3, "sqs": _of_sqs, "cloudformation": _of_cloudformation,
    "lambda": _of_lambda, "events": _of_events, "route53": _of_route53,
    "cloudfront": _of_cloudfront, "ecs": _of_ecs, "application-autoscaling": _of_scaling,
}  # fmt: skip

SERVICES = frozenset({*_LISTS, *_MORE})
