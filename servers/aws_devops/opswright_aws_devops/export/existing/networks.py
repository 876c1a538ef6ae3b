"""Existing VPCs and what is in them, as parts."""

from typing import Any

from opswright_aws_devops.export.existing.described import Parts, name_of, own_tags
from opswright_aws_devops.export.model import Zone

_VIA = {
    "GatewayId": "GatewayId",
    "NatGatewayId": "NatGatewayId",
    "TransitGatewayId": "TransitGatewayId",
    "VpcPeeringConnectionId": "VpcPeeringConnectionId",
    "NetworkInterfaceId": "NetworkInterfaceId",
    "InstanceId": "InstanceId",
    "EgressOnlyInternetGatewayId": "EgressOnlyInternetGatewayId",
}
_TO = {
    "DestinationCidrBlock": "DestinationCidrBlock",
    "DestinationIpv6CidrBlock": "DestinationIpv6CidrBlock",
    "DestinationPrefixListId": "DestinationPrefixListId",
}


def vpc(it: Parts, item: dict[str, Any]) -> None:
    """A VPC with its DNS; further ranges are told as left out."""
    vpc_id = item["VpcId"]
    if item.get("IsDefault"):
        it.leave_out(vpc_id, "AWS makes the default VPC by itself")
        return
    ec2 = it.a.client("ec2")

    def attribute(name: str) -> bool:
        answer = ec2.describe_vpc_attribute(VpcId=vpc_id, Attribute=name[0].lower() + name[1:])
        return bool(answer[name]["Value"])

    tenancy = item.get("InstanceTenancy")
    it.add(
        "EC2::VPC",
        name_of(item, vpc_id),
        {
            "CidrBlock": item["CidrBlock"],
            "EnableDnsSupport": attribute("EnableDnsSupport"),
            "EnableDnsHostnames": attribute("EnableDnsHostnames"),
            "InstanceTenancy": tenancy if tenancy != "default" else None,
            "Tags": own_tags(item.get("Tags")),
        },
        ids={"VpcId": vpc_id},
    )
    ranges = [r["CidrBlock"] for r in item.get("CidrBlockAssociationSet", [])]
    ranges += [r["Ipv6CidrBlock"] for r in item.get("Ipv6CidrBlockAssociationSet", [])]
    if more := [r for r in ranges if r != item["CidrBlock"]]:
        it.leave_out(vpc_id, f"its further ranges {', '.join(more)}")


def subnet(it: Parts, item: dict[str, Any]) -> None:
    """A subnet."""
    if item.get("DefaultForAz"):
        it.leave_out(item["SubnetId"], "AWS makes default subnets by itself")
        return
    it.add(
        "EC2::Subnet",
        name_of(item, item["SubnetId"]),
        {
            "VpcId": item["VpcId"],
            "CidrBlock": item["CidrBlock"],
            "AvailabilityZone": Zone(item["AvailabilityZone"]),
            "MapPublicIpOnLaunch": item.get("MapPublicIpOnLaunch") or None,
            "Tags": own_tags(item.get("Tags")),
        },
        ids={"SubnetId": item["SubnetId"]},
    )
    if item.get("Ipv6CidrBlockAssociationSet"):
        it.leave_out(item["SubnetId"], "its IPv6 range")


def internet_gateway(it: Parts, item: dict[str, Any]) -> None:
    """An internet gateway and its attachment."""
    gateway_id, name = item["InternetGatewayId"], name_of(item, item["InternetGatewayId"])
    tags = own_tags(item.get("Tags"))
    ids = {"InternetGatewayId": gateway_id}
    it.add("EC2::InternetGateway", name, {"Tags": tags}, ids=ids)
    for attached in item.get("Attachments", []):
        it.add(
            "EC2::VPCGatewayAttachment",
            name,
            {"VpcId": attached["VpcId"], "InternetGatewayId": gateway_id},
        )


def route_table(it: Parts, item: dict[str, Any]) -> None:
    """A route table with its routes and subnets; a VPC's main one is made with the VPC."""
    table_id, name = item["RouteTableId"], name_of(item, item["RouteTableId"])
    routes = [
        route
        for route in item["Routes"]
        if route.get("Origin", "CreateRoute") == "CreateRoute"
        and route.get("GatewayId") != "local"
        and not str(route.get("GatewayId", "")).startswith("vpce-")
    ]
    associations = item.get("Associations", [])
    if any(association.get("Main") for association in associations):
        if routes:
            it.leave_out(table_id, f"a main route table with {len(routes)} routes of its own")
        return
    properties = {"VpcId": item["VpcId"], "Tags": own_tags(item.get("Tags"))}
    it.add("EC2::RouteTable", name, properties, ids={"RouteTableId": table_id})
    for association in associations:
        if subnet_id := association.get("SubnetId"):
            joined = {"SubnetId": subnet_id, "RouteTableId": table_id}
            it.add("EC2::SubnetRouteTableAssociation", f"{name} {subnet_id}", joined)
    for route in routes:
        to = {_TO[key]: route[key] for key in _TO if route.get(key)}
        via = {_VIA[key]: route[key] for key in _VIA if route.get(key)}
        if len(via) != 1:
            it.leave_out(table_id, f"its route {', '.join(to.values())}: it leads nowhere known")
            continue
        it.add(
            "EC2::Route",
            f"{name} to {next(iter(to.values()))}",
            {"RouteTableId": table_id, **to, **via},
        )


def elastic_ip(it: Parts, item: dict[str, Any]) -> None:
    """A public address: another one, for an address cannot be chosen."""
    tags = own_tags(item.get("Tags"))
    it.add(
        "EC2::EIP",
        name_of(item, item["AllocationId"]),
        {"Domain": "vpc", "Tags": tags},
        ids={"AllocationId": item["AllocationId"]},
    )


def nat_gateway(it: Parts, item: dict[str, Any]) -> None:
    """A NAT gateway that is there."""
    if item.get("State") in {"deleting", "deleted", "failed"}:
        return
    addresses = [x["AllocationId"] for x in item["NatGatewayAddresses"] if x.get("AllocationId")]
    kind = item.get("ConnectivityType", "public")
    it.add(
        "EC2::NatGateway",
        name_of(item, item["NatGatewayId"]),
        {
            "SubnetId": item["SubnetId"],
            "AllocationId": addresses[0] if addresses else None,
            "ConnectivityType": kind if kind != "public" else None,
            "SecondaryAllocationIds": addresses[1:],
            "Tags": own_tags(item.get("Tags")),
        },
        ids={"NatGatewayId": item["NatGatewayId"]},
    )


def vpc_endpoint(it: Parts, item: dict[str, Any]) -> None:
    """An endpoint, without its policy where that allows everything."""
    import json

    if item.get("State", "available").lower() in {"deleting", "deleted", "failed", "rejected"}:
        return
    kind = item["VpcEndpointType"]
    policy = json.loads(item.get("PolicyDocument") or "{}")
    every = [s for s in policy.get("Statement", []) if s.get("Action") == "*"]
    is_open = len(every) == len(policy.get("Statement", []))
    it.add(
        "EC2::VPCEndpoint",
        name_of(item, item["ServiceName"].rpartition(".")[2]),
        {
            "VpcId": item["VpcId"],
            "ServiceName": item["ServiceName"],
            "VpcEndpointType": kind,
            "RouteTableIds": item.get("RouteTableIds"),
            "SubnetIds": item.get("SubnetIds"),
            "SecurityGroupIds": [group["GroupId"] for group in item.get("Groups", [])],
            "PrivateDnsEnabled": item.get("PrivateDnsEnabled") if kind == "Interface" else None,
            "PolicyDocument": None if is_open else policy,
            "Tags": own_tags(item.get("Tags")),
        },
        ids={"Id": item["VpcEndpointId"]},
    )
