"""VPCs and what is in them, in the provider's words."""

from collections.abc import Mapping

from opswright_aws_devops.export.model import NOTHING, Value
from opswright_aws_devops.export.terraform.draft import Draft, Kind
from opswright_aws_devops.export.terraform.hcl import Json

_RULE = {
    "IpProtocol": "ip_protocol",
    "FromPort": "from_port",
    "ToPort": "to_port",
    "CidrIp": "cidr_ipv4",
    "CidrIpv6": "cidr_ipv6",
    "SourcePrefixListId": "prefix_list_id",
    "DestinationPrefixListId": "prefix_list_id",
    "SourceSecurityGroupId": "referenced_security_group_id",
    "DestinationSecurityGroupId": "referenced_security_group_id",
    "GroupId": "security_group_id",
    "Description": "description",
}
_OUT = {"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}


def _vpc(draft: Draft) -> None:
    """A new one with its default security group, which Terraform takes over without rules."""
    if not draft.exists:
        draft.add("aws_default_security_group", "_default", {"vpc_id": draft("VpcId")})


def _rule(rule: Mapping[str, Value]) -> dict[str, Value]:
    return {_RULE[name]: value for name, value in rule.items()}


def _security_group(draft: Draft) -> None:
    """Each rule is a resource of its own; without one for the way out, nothing gets out."""
    # CloudFormation leaves EC2's own rule there where it is told of none.
    ways = {
        "ingress": draft.take("SecurityGroupIngress", []),
        "egress": draft.take("SecurityGroupEgress", [_OUT]),
    }
    for way, rules in ways.items():
        for number, rule in enumerate([rule for rule in rules if rule != NOTHING], 1):
            draft.add(
                f"aws_vpc_security_group_{way}_rule",
                f"_{way}_{number}",
                {"security_group_id": draft("GroupId"), **_rule(rule)},
                draft.part.ids.get(f"{way} {number}", ""),
            )


def _apart(draft: Draft) -> None:
    draft.body = _rule(draft.rest)
    draft.rest.clear()


def _endpoint(draft: Draft) -> None:
    if policy := draft.take("PolicyDocument"):
        draft.body["policy"] = Json(policy)


_RULE_ID = "{SecurityGroupRuleId}"
KINDS = {
    "AWS::EC2::VPC": Kind("aws_vpc", {"VpcId": "id"}, import_id="{VpcId}", write=_vpc),
    "AWS::EC2::InternetGateway": Kind(
        "aws_internet_gateway", {"InternetGatewayId": "id"}, import_id="{InternetGatewayId}"
    ),
    "AWS::EC2::VPCGatewayAttachment": Kind(
        "aws_internet_gateway_attachment", import_id="{InternetGatewayId}:{VpcId}"
    ),
    "AWS::EC2::Subnet": Kind("aws_subnet", {"SubnetId": "id"}, import_id="{SubnetId}"),
    "AWS::EC2::RouteTable": Kind(
        "aws_route_table", {"RouteTableId": "id"}, import_id="{RouteTableId}"
    ),
    "AWS::EC2::SubnetRouteTableAssociation": Kind(
        "aws_route_table_association", import_id="{SubnetId}/{RouteTableId}"
    ),
    "AWS::EC2::Route": Kind(
        "aws_route",
        renamed={"EgressOnlyInternetGatewayId": "egress_only_gateway_id"},
        import_id="{RouteTableId}_"
        "{DestinationCidrBlock|DestinationIpv6CidrBlock|DestinationPrefixListId}",
    ),
    "AWS::EC2::EIP": Kind("aws_eip", import_id="{AllocationId}"),
    "AWS::EC2::NatGateway": Kind(
        "aws_nat_gateway", {"NatGatewayId": "id"}, import_id="{NatGatewayId}"
    ),
    "AWS::EC2::VPCEndpoint": Kind("aws_vpc_endpoint", import_id="{Id}", write=_endpoint),
    "AWS::EC2::SecurityGroup": Kind(
        "aws_security_group",
        {"GroupId": "id"},
        {"GroupName": "name", "GroupDescription": "description"},
        "{GroupId}",
        _security_group,
    ),
    "AWS::EC2::SecurityGroupIngress": Kind(
        "aws_vpc_security_group_ingress_rule", import_id=_RULE_ID, write=_apart
    ),
    "AWS::EC2::SecurityGroupEgress": Kind(
        "aws_vpc_security_group_egress_rule", import_id=_RULE_ID, write=_apart
    ),
}
