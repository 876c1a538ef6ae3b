"""Reads the network: security groups, ACLs, VPCs, route tables, load balancers."""

from collections import Counter, defaultdict
from typing import Any

from opswright_core.verdicts import Unread, attempt
from opswright_security.reading import Fact, Reader


def load_security_groups(reader: Reader) -> list[Fact]:
    """Every security group of the region."""
    return _facts(reader, "describe_security_groups", "SecurityGroups", "GroupId")


def load_default_groups(reader: Reader) -> list[Fact]:
    """The group that every VPC is born with."""
    return [g for g in reader.load(load_security_groups) if g["GroupName"] == "default"]


def load_network_acls(reader: Reader) -> list[Fact]:
    """Network ACLs that guard at least one subnet."""
    facts = _facts(reader, "describe_network_acls", "NetworkAcls", "NetworkAclId")
    return [fact for fact in facts if fact.get("Associations")]


def load_interfaces(reader: Reader) -> list[Fact]:
    """Network interfaces, with the groups they carry."""
    return _facts(reader, "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId")


def load_subnets(reader: Reader) -> list[Fact]:
    """Every subnet of the region."""
    return _facts(reader, "describe_subnets", "Subnets", "SubnetId")


def load_route_tables(reader: Reader) -> list[Fact]:
    """Every route table of the region."""
    return _facts(reader, "describe_route_tables", "RouteTables", "RouteTableId")


def load_vpcs(reader: Reader) -> list[Fact]:
    """VPCs with their `flow_logs` and the number of `interfaces` in them (each may be Unread)."""
    logs = attempt(lambda: _flow_logs_by_resource(reader))
    interfaces = attempt(lambda: Counter(i.get("VpcId") for i in reader.load(load_interfaces)))

    def one(vpc: dict[str, Any]) -> Fact:
        id = vpc["VpcId"]
        of_it = {
            "flow_logs": logs if isinstance(logs, Unread) else logs[id],
            "interfaces": interfaces if isinstance(interfaces, Unread) else interfaces[id],
        }
        return Fact(id, {**vpc, **of_it})

    return [one(vpc) for vpc in reader.pages("ec2", "describe_vpcs", "Vpcs")]


def _flow_logs_by_resource(reader: Reader) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for log in reader.pages("ec2", "describe_flow_logs", "FlowLogs"):
        found[log.get("ResourceId", "")].append(log)
    return found


def load_load_balancers(reader: Reader) -> list[Fact]:
    """Application and network load balancers, with their `listeners` (may be Unread)."""

    def one(balancer: dict[str, Any]) -> Fact:
        arn = balancer["LoadBalancerArn"]
        listeners = attempt(
            lambda: reader.pages("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=arn)
        )
        return Fact(balancer["LoadBalancerName"], {**balancer, "listeners": listeners})

    found = reader.load(load_balancers)
    return reader.each([b for b in found if reader.vpc_id in {None, b.get("VpcId")}], one)


def load_balancers(reader: Reader) -> list[dict[str, Any]]:
    """Application and network load balancers, as AWS describes them."""
    return reader.pages("elbv2", "describe_load_balancers", "LoadBalancers")


def _facts(reader: Reader, operation: str, key: str, id_key: str) -> list[Fact]:
    return [Fact(item[id_key], item) for item in reader.pages("ec2", operation, key)]
