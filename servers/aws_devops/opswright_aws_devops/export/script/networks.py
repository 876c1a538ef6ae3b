"""Networks in an exported script. Each function is copied into it as it stands."""

import json
from typing import Any

from opswright_aws_devops.export.script.building import TAG, Building, or_none


def ec2_part(
    it: Building, key: str, kind: str, plural: str, create: Any, Tags: Any = (), **own: Any
) -> dict[str, Any]:
    """A resource of EC2 that is known again by its tag; `plural` as its describe call says it."""
    ec2 = it.client("ec2")
    describe, items = plural.split(" ")
    mark = {"Key": TAG, "Value": f"{it.name}/{key}"}
    marked = [{"Name": f"tag:{TAG}", "Values": [mark["Value"]]}]

    def find() -> dict[str, Any] | None:
        filters = "Filter" if describe == "nat_gateways" else "Filters"
        found = getattr(ec2, f"describe_{describe}")(**{filters: marked})[items]
        gone = {"deleted", "deleting", "failed"}
        mine = [item for item in found if mark in item.get("Tags", [])]
        return next((item for item in mine if item.get("State") not in gone), None)

    def make() -> dict[str, Any]:
        tagged = [{"ResourceType": kind, "Tags": it.tags(key, Tags)}]
        answer: dict[str, Any] = create(**own, TagSpecifications=tagged)
        answer.pop("ResponseMetadata")
        return next((v for v in answer.values() if isinstance(v, dict)), answer)

    return it.part(key, kind, find, make)


def vpc(
    it: Building, key: str, *, EnableDnsSupport: bool = True, EnableDnsHostnames: bool = False,
    **own: Any,
) -> dict[str, Any]:  # fmt: skip
    """A VPC, available, with its DNS as asked."""
    ec2 = it.client("ec2")
    made = ec2_part(it, key, "vpc", "vpcs Vpcs", ec2.create_vpc, **own)
    vpc_id = made["VpcId"]
    it.wait("ec2", "vpc_available", VpcIds=[vpc_id])
    support, names = {"Value": EnableDnsSupport}, {"Value": EnableDnsHostnames}
    it.setting(ec2.modify_vpc_attribute, VpcId=vpc_id, EnableDnsSupport=support)
    it.setting(ec2.modify_vpc_attribute, VpcId=vpc_id, EnableDnsHostnames=names)
    return made


def internet_gateway(it: Building, key: str, **own: Any) -> dict[str, Any]:
    """An internet gateway, attached to nothing yet."""
    create = it.client("ec2").create_internet_gateway
    gateways = "internet_gateways InternetGateways"
    return ec2_part(it, key, "internet-gateway", gateways, create, **own)


def vpc_gateway_attachment(
    it: Building, key: str, *, VpcId: str, InternetGatewayId: str
) -> dict[str, Any]:
    """An internet gateway attached to a VPC."""
    ec2 = it.client("ec2")
    here = [
        {"Name": "attachment.vpc-id", "Values": [VpcId]},
        {"Name": "internet-gateway-id", "Values": [InternetGatewayId]},
    ]

    def find() -> dict[str, Any] | None:
        found = ec2.describe_internet_gateways(Filters=here)["InternetGateways"]
        return {"VpcId": VpcId} if found else None

    def attach() -> dict[str, Any]:
        ec2.attach_internet_gateway(VpcId=VpcId, InternetGatewayId=InternetGatewayId)
        return {"VpcId": VpcId}

    return it.part(key, "attachment", find, attach)


def route_table(it: Building, key: str, **own: Any) -> dict[str, Any]:
    """A route table without routes of its own yet."""
    create = it.client("ec2").create_route_table
    return ec2_part(it, key, "route-table", "route_tables RouteTables", create, **own)


def subnet(
    it: Building, key: str, *, MapPublicIpOnLaunch: bool = False, **own: Any
) -> dict[str, Any]:
    """A subnet, available."""
    ec2 = it.client("ec2")
    made = ec2_part(it, key, "subnet", "subnets Subnets", ec2.create_subnet, **own)
    it.wait("ec2", "subnet_available", SubnetIds=[made["SubnetId"]])
    public = {"Value": MapPublicIpOnLaunch}
    it.setting(ec2.modify_subnet_attribute, SubnetId=made["SubnetId"], MapPublicIpOnLaunch=public)
    return made


def subnet_route_table_association(
    it: Building, key: str, *, SubnetId: str, RouteTableId: str
) -> dict[str, Any]:
    """A subnet routed by a table."""
    ec2 = it.client("ec2")
    here = [{"Name": "association.subnet-id", "Values": [SubnetId]}]

    def find() -> dict[str, Any] | None:
        for table in ec2.describe_route_tables(Filters=here)["RouteTables"]:
            if table["RouteTableId"] == RouteTableId:
                return {"SubnetId": SubnetId}
            raise SystemExit(f"{SubnetId} is routed by {table['RouteTableId']} by now.")
        return None

    def associate() -> dict[str, Any]:
        ec2.associate_route_table(SubnetId=SubnetId, RouteTableId=RouteTableId)
        return {"SubnetId": SubnetId}

    return it.part(key, "association", find, associate)


def route(
    it: Building, key: str, *, RouteTableId: str, DestinationCidrBlock: str, **via: str
) -> dict[str, Any]:
    """A route; a NAT gateway that it leads to is waited for."""
    ec2 = it.client("ec2")
    if "NatGatewayId" in via:
        it.wait("ec2", "nat_gateway_available", NatGatewayIds=[via["NatGatewayId"]])
    which = {"RouteTableId": RouteTableId, "DestinationCidrBlock": DestinationCidrBlock}
    here = [{"Name": "route-table-id", "Values": [RouteTableId]}]
    there = [
        route
        for table in ec2.describe_route_tables(Filters=here)["RouteTables"]
        for route in table["Routes"]
        if route.get("DestinationCidrBlock") == DestinationCidrBlock
    ]

    def find() -> dict[str, Any] | None:
        leads = there and all(there[0].get(name) == value for name, value in via.items())
        return which if leads else None

    def create() -> dict[str, Any]:
        send = ec2.replace_route if there else ec2.create_route
        send(**which, **via)
        return which

    return it.part(key, "route", find, create)


def eip(it: Building, key: str, **own: Any) -> dict[str, Any]:
    """A fixed public address."""
    create = it.client("ec2").allocate_address
    return ec2_part(it, key, "elastic-ip", "addresses Addresses", create, **own)


def nat_gateway(it: Building, key: str, **own: Any) -> dict[str, Any]:
    """A NAT gateway; routes to it wait until it is available."""
    create = it.client("ec2").create_nat_gateway
    return ec2_part(it, key, "natgateway", "nat_gateways NatGateways", create, **own)


def permission(rule: dict[str, Any]) -> dict[str, Any]:
    """A rule as EC2 takes it."""
    ports: dict[str, Any] = {
        name: rule[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in rule
    }
    told = {"Description": rule["Description"]} if "Description" in rule else {}
    for name, ranges, inner in (
        ("CidrIp", "IpRanges", "CidrIp"),
        ("CidrIpv6", "Ipv6Ranges", "CidrIpv6"),
        ("SourceSecurityGroupId", "UserIdGroupPairs", "GroupId"),
        ("DestinationSecurityGroupId", "UserIdGroupPairs", "GroupId"),
        ("SourcePrefixListId", "PrefixListIds", "PrefixListId"),
        ("DestinationPrefixListId", "PrefixListIds", "PrefixListId"),
    ):
        if name in rule:
            return {**ports, ranges: [{inner: rule[name], **told}]}
    raise ValueError(f"A rule from nowhere: {rule}")


def security_group(
    it: Building, key: str, *, GroupName: str, GroupDescription: str, VpcId: str, Tags: Any = (),
    SecurityGroupIngress: Any = (), SecurityGroupEgress: Any = None,
) -> dict[str, Any]:  # fmt: skip
    """A security group with its rules; without any for what goes out, everything may."""
    ec2 = it.client("ec2")
    made = ec2_part(
        it, key, "security-group", "security_groups SecurityGroups", ec2.create_security_group,
        GroupName=GroupName, Description=GroupDescription, VpcId=VpcId, Tags=Tags,
    )  # fmt: skip
    there = "InvalidPermission.Duplicate", "InvalidPermission.NotFound"

    def rules(call: Any, **which: Any) -> None:
        it.setting(lambda **all: or_none(lambda: call(**all), *there), **which)

    for rule in SecurityGroupIngress:
        rules(
            ec2.authorize_security_group_ingress,
            GroupId=made["GroupId"],
            IpPermissions=[permission(rule)],
        )
    if SecurityGroupEgress is not None:
        every = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        rules(ec2.revoke_security_group_egress, GroupId=made["GroupId"], IpPermissions=[every])
    for rule in SecurityGroupEgress or ():
        rules(
            ec2.authorize_security_group_egress,
            GroupId=made["GroupId"],
            IpPermissions=[permission(rule)],
        )
    return made


def security_group_rule(it: Building, way: str, GroupId: str, rule: Any) -> dict[str, Any]:
    """A rule beside its group; one that is there already stays as it is."""
    call = getattr(it.client("ec2"), f"authorize_security_group_{way}")
    asked = {"GroupId": GroupId, "IpPermissions": [permission(rule)]}
    it.setting(lambda **all: or_none(lambda: call(**all), "InvalidPermission.Duplicate"), **asked)
    return {"GroupId": GroupId}


def security_group_ingress(it: Building, key: str, *, GroupId: str, **rule: Any) -> dict[str, Any]:
    """A rule for what comes in, of a group that another's rules refer to."""
    return security_group_rule(it, "ingress", GroupId, rule)


def security_group_egress(it: Building, key: str, *, GroupId: str, **rule: Any) -> dict[str, Any]:
    """A rule for what goes out, of a group that another's rules refer to."""
    return security_group_rule(it, "egress", GroupId, rule)


def vpc_endpoint(
    it: Building, key: str, *, PolicyDocument: Any = None, **own: Any
) -> dict[str, Any]:
    """A way to a service of AWS inside the VPC."""
    if PolicyDocument:
        own["PolicyDocument"] = json.dumps(PolicyDocument)
    create = it.client("ec2").create_vpc_endpoint
    made = ec2_part(it, key, "vpc-endpoint", "vpc_endpoints VpcEndpoints", create, **own)
    made["Id"] = made["VpcEndpointId"]
    return made
