"""Networks and security groups as the building tools make them, in parts; nothing is read."""

from collections.abc import Mapping
from typing import Any

from opswright_aws_devops.export.intent import Made, Place, camel, named
from opswright_aws_devops.export.model import Ref, Value, Zone
from opswright_aws_devops.networking.layout import lay_out
from opswright_aws_devops.networking.routing import ANYWHERE


def network(prefix: str, a: Mapping[str, Any], place: Place) -> Made:
    """As create_network builds it."""
    made, name, azs = Made(prefix), a["name"], list(place.zones)
    vpc = made.add(
        "Vpc",
        "EC2::VPC",
        {
            "CidrBlock": a["cidr"],
            "EnableDnsSupport": True,
            "EnableDnsHostnames": True,
            "Tags": named(name),
        },
    )("VpcId")
    gateway = made.add("Gateway", "EC2::InternetGateway", {"Tags": named(name)})(
        "InternetGatewayId"
    )
    attached = {"VpcId": vpc, "InternetGatewayId": gateway}
    made.add("Attachment", "EC2::VPCGatewayAttachment", attached)

    def table(key: str, part: str) -> Ref:
        tagged = {"VpcId": vpc, "Tags": named(f"{name}-{part}")}
        return made.add(key, "EC2::RouteTable", tagged)("RouteTableId")

    public = table("PublicRoutes", "public")
    private = {az: table(f"PrivateRoutes{camel(az)}", f"private-{az}") for az in azs}
    database = table("DatabaseRoutes", "database")
    subnets: dict[str, list[Ref]] = {"public": [], "private": [], "database": []}
    for subnet in lay_out(a["cidr"], azs):
        key = f"{camel(subnet.tier)}{camel(subnet.az)}"
        subnet_id = made.add(
            f"{key}Subnet",
            "EC2::Subnet",
            {
                "VpcId": vpc,
                "CidrBlock": subnet.cidr,
                "AvailabilityZone": Zone(subnet.az),
                "Tags": named(f"{name}-{subnet.tier}-{subnet.az}"),
            },
        )("SubnetId")
        subnets[subnet.tier].append(subnet_id)
        routes = {"public": public, "database": database}.get(subnet.tier, private[subnet.az])
        joined = {"SubnetId": subnet_id, "RouteTableId": routes}
        made.add(f"{key}Association", "EC2::SubnetRouteTableAssociation", joined)
    route = {"DestinationCidrBlock": ANYWHERE}
    made.add(
        "PublicRoute",
        "EC2::Route",
        {"RouteTableId": public, **route, "GatewayId": gateway},
        after=("Attachment",),
    )
    nats: dict[str, Ref] = {}
    for az in {"per_az": azs, "single": azs[:1], "none": []}[a["nat"]]:
        address = made.add(
            f"Address{camel(az)}",
            "EC2::EIP",
            {"Domain": "vpc", "Tags": named(f"{name}-{az}")},
            after=("Attachment",),
        )("AllocationId")
        nats[az] = made.add(
            f"Nat{camel(az)}",
            "EC2::NatGateway",
            {
                "SubnetId": subnets["public"][azs.index(az)],
                "AllocationId": address,
                "Tags": named(f"{name}-{az}"),
            },
        )("NatGatewayId")
    for az in azs if nats else []:
        nat = nats.get(az) or nats[azs[0]]
        out = {"RouteTableId": private[az], **route, "NatGatewayId": nat}
        made.add(f"PrivateRoute{camel(az)}", "EC2::Route", out)
    made.outputs = {
        "name": name,
        "vpc_id": vpc,
        "cidr": a["cidr"],
        "azs": azs,
        **{f"{tier}_subnet_ids": ids for tier, ids in subnets.items()},
        "internet_gateway_id": gateway,
        "nat_gateway_ids": list(nats.values()),
        "route_table_ids": [public, *private.values(), database],
    }
    return made


def security_groups(prefix: str, a: Mapping[str, Any], place: Place) -> Made:
    """As create_security_groups builds them."""
    made, name = Made(prefix), a["name"]

    def group(tier: str, purpose: str, ports: list[int], source: Ref | None) -> Ref:
        origin: dict[str, Value] = (
            {"SourceSecurityGroupId": source}
            if source
            else {"CidrIp": ANYWHERE, "Description": "internet"}
        )
        rules = [{"IpProtocol": "tcp", "FromPort": p, "ToPort": p, **origin} for p in ports]
        properties = {
            "GroupName": f"{name}-{tier}",
            "GroupDescription": f"{purpose} of {name}",
            "VpcId": a["vpc_id"],
            "SecurityGroupIngress": rules,
            "Tags": named(f"{name}-{tier}"),
        }
        return made.add(camel(tier), "EC2::SecurityGroup", properties)("GroupId")

    balancer = group("lb", "Load balancer", [80, 443], None)
    app = group("app", "Application servers", [a["app_port"]], balancer)
    database = group("db", "Database", [a["database_port"]], app)
    made.outputs = {
        "load_balancer_sg_id": balancer,
        "app_sg_id": app,
        "database_sg_id": database,
    }
    return made
