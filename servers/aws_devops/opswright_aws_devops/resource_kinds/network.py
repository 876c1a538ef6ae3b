"""Kinds of the network: VPCs and their parts, load balancers, names and certificates."""

from opswright_aws_devops.resource_kinds.kind import Items, ResourceKind, listed
from opswright_core.aws import Aws
from opswright_core.parallel import each

_TAGGED_AT_ONCE = 10
"""Zones whose tags one call of Route 53 tells."""


def _flow_logs(a: Aws) -> Items:
    """Flow logs; those of a whole VPC say so as others do."""
    return [
        {**log, "VpcId": log["ResourceId"]} if log["ResourceId"].startswith("vpc-") else log
        for log in listed(a, FLOW_LOG)
    ]


def _hosted_zones(a: Aws) -> Items:
    """Hosted zones with their tags; an id as the other tools take it, without its path."""
    zones = [
        {**zone, "Id": zone_id, "Arn": f"arn:{a.partition}:route53:::hostedzone/{zone_id}"}
        for zone in listed(a, HOSTED_ZONE)
        for zone_id in [zone["Id"].rpartition("/")[2]]
    ]

    def tags(start: int) -> Items:
        some = [zone["Id"] for zone in zones[start : start + _TAGGED_AT_ONCE]]
        answer = a.client("route53").list_tags_for_resources(
            ResourceType="hostedzone", ResourceIds=some
        )
        found: Items = answer["ResourceTagSets"]
        return found

    told = each(range(0, len(zones), _TAGGED_AT_ONCE), tags)
    by_id = {entry["ResourceId"]: entry["Tags"] for found in told for entry in found}
    return [{**zone, "Tags": by_id.get(zone["Id"], [])} for zone in zones]


FLOW_LOG = ResourceKind(
    "ec2:flow-log", "ec2", "describe_flow_logs", "FlowLogs", "FlowLogId",
    state="FlowLogStatus", prefix="fl-", page_size=1000, read=_flow_logs,
)  # fmt: skip
HOSTED_ZONE = ResourceKind(
    "route53:hosted-zone", "route53", "list_hosted_zones", "HostedZones", "Id", name="Name",
    arn="Arn", vpc="", state="", page_size=100, is_account_wide=True, read=_hosted_zones,
)  # fmt: skip

KINDS = (
    ResourceKind(
        "ec2:vpc", "ec2", "describe_vpcs", "Vpcs", "VpcId", prefix="vpc-", page_size=1000
    ),
    ResourceKind(
        "ec2:subnet", "ec2", "describe_subnets", "Subnets", "SubnetId", arn="SubnetArn",
        prefix="subnet-", page_size=1000,
    ),
    ResourceKind(
        "ec2:internet-gateway", "ec2", "describe_internet_gateways", "InternetGateways",
        "InternetGatewayId", vpc="Attachments[0].VpcId", state="Attachments[0].State",
        prefix="igw-", page_size=1000,
    ),
    ResourceKind(
        "ec2:natgateway", "ec2", "describe_nat_gateways", "NatGateways", "NatGatewayId",
        prefix="nat-", page_size=1000,
    ),
    ResourceKind(
        "ec2:route-table", "ec2", "describe_route_tables", "RouteTables", "RouteTableId",
        prefix="rtb-", page_size=100,
    ),
    ResourceKind(
        "ec2:security-group", "ec2", "describe_security_groups", "SecurityGroups", "GroupId",
        name="GroupName", arn="SecurityGroupArn", prefix="sg-", page_size=1000,
    ),
    ResourceKind(
        "ec2:elastic-ip", "ec2", "describe_addresses", "Addresses", "AllocationId",
        name="PublicIp", prefix="eipalloc-",
    ),
    ResourceKind(
        "ec2:vpc-endpoint", "ec2", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId",
        prefix="vpce-", page_size=1000,
    ),
    ResourceKind(
        "ec2:network-interface", "ec2", "describe_network_interfaces", "NetworkInterfaces",
        "NetworkInterfaceId", state="Status", tags="TagSet", prefix="eni-", page_size=1000,
    ),
    FLOW_LOG,
    ResourceKind(
        "elb:loadbalancer", "elbv2", "describe_load_balancers", "LoadBalancers",
        "LoadBalancerArn", name="LoadBalancerName", arn="LoadBalancerArn", state="State.Code",
        page_size=400, tagged_as="elasticloadbalancing:loadbalancer",
    ),
    ResourceKind(
        "elb:targetgroup", "elbv2", "describe_target_groups", "TargetGroups", "TargetGroupArn",
        name="TargetGroupName", arn="TargetGroupArn", page_size=400,
        tagged_as="elasticloadbalancing:targetgroup",
    ),
    HOSTED_ZONE,
    ResourceKind(
        "acm:certificate", "acm", "list_certificates", "CertificateSummaryList",
        "CertificateArn", name="DomainName", arn="CertificateArn", vpc="", state="Status",
        page_size=1000, tagged_as="acm:certificate",
    ),
)  # fmt: skip
