"""Judges the network: security groups, ACLs, VPCs, load balancers."""

from opswright_security.exposure import (
    ADMIN_PORTS,
    DATABASE_PORTS,
    RISKY_PORTS,
    acl_allows,
    is_world,
    openings,
    world_ports,
)
from opswright_security.facts import network as read
from opswright_security.reading import Fact
from opswright_security.rules import Problem, rule

_CLOSE = (
    "aws ec2 revoke-security-group-ingress --group-id SG --protocol tcp --port PORT --cidr CIDR"
)
_CLOSE_FIX = (
    "Close it with close_security_group_rule; let in named networks or groups, "
    "or use Session Manager."
)


def _narrow(group: Fact) -> dict[str, object]:
    """The group without its rules for every port, which `ec2-sg-open-all` reports."""
    rules = [
        rule
        for rule in group.get("IpPermissions") or []
        if not any(o.every_port for o in openings({"IpPermissions": [rule]}))
    ]
    return {"IpPermissions": rules}


@rule(
    "ec2-sg-open-all",
    "No security group lets the internet in on every port",
    "critical",
    read.load_security_groups,
    "fsbp:EC2.19",
    fix=_CLOSE_FIX,
    command="aws ec2 revoke-security-group-ingress --group-id SG --protocol=-1 --cidr CIDR",
)
def sg_open_all(group: Fact) -> Problem:
    """All that listens on the machine can be attacked, also what was meant for neighbours."""
    wide = [str(o) for o in openings(group.fields) if o.every_port and is_world(o.source)]
    return "; ".join(wide) or None


@rule(
    "ec2-sg-admin-ports-ipv4",
    "SSH and RDP are closed to the internet",
    "high",
    read.load_security_groups,
    "cis-3.0:5.2",
    "fsbp:EC2.19",
    fix=_CLOSE_FIX,
    command=_CLOSE,
)
def sg_admin_ipv4(group: Fact) -> Problem:
    """Open administration ports are scanned and tried within minutes."""
    return "; ".join(world_ports(group.fields, ADMIN_PORTS, 4)) or None


@rule(
    "ec2-sg-admin-ports-ipv6",
    "SSH and RDP are closed to the internet over IPv6",
    "high",
    read.load_security_groups,
    "cis-3.0:5.3",
    "fsbp:EC2.19",
    fix=_CLOSE_FIX,
    command=_CLOSE,
)
def sg_admin_ipv6(group: Fact) -> Problem:
    """The IPv6 rule is the one that is forgotten when the IPv4 one is closed."""
    return "; ".join(world_ports(group.fields, ADMIN_PORTS, 6)) or None


@rule(
    "ec2-sg-database-ports",
    "Database ports are closed to the internet",
    "high",
    read.load_security_groups,
    "fsbp:EC2.19",
    fix=_CLOSE_FIX,
    command=_CLOSE,
)
def sg_database(group: Fact) -> Problem:
    """Databases and caches are found by scanners; some ask for no password."""
    return "; ".join(world_ports(_narrow(group), DATABASE_PORTS)) or None


@rule(
    "ec2-sg-risky-ports",
    "Other risky ports are closed to the internet",
    "medium",
    read.load_security_groups,
    "fsbp:EC2.19",
    fix=_CLOSE_FIX,
    command=_CLOSE,
)
def sg_risky(group: Fact) -> Problem:
    """File sharing, mail, clear-text and development ports are not meant for strangers."""
    return "; ".join(world_ports(_narrow(group), RISKY_PORTS)) or None


@rule(
    "ec2-sg-default",
    "Default security groups let nothing in or out",
    "medium",
    read.load_default_groups,
    "cis-3.0:5.4",
    "fsbp:EC2.2",
    fix="Remove every rule of the default group and give each thing a group of its own.",
)
def sg_default(group: Fact) -> Problem:
    """Whatever is launched without a group lands in it, and inherits what it allows."""
    counts = [(len(group.get("IpPermissions") or []), "inbound")]
    counts.append((len(group.get("IpPermissionsEgress") or []), "outbound"))
    found = [f"{count} {way}" for count, way in counts if count]
    return f"{' and '.join(found)} rules" if found else None


@rule(
    "ec2-nacl-admin-ports",
    "Network ACLs keep the internet off SSH and RDP",
    "low",
    read.load_network_acls,
    "cis-3.0:5.1",
    "fsbp:EC2.21",
    fix="Add deny entries for ports 22 and 3389 from 0.0.0.0/0 and ::/0 before the allow entries.",
)
def nacl_admin(acl: Fact) -> Problem:
    """The ACL still holds when a security group is opened by mistake."""
    found = [
        f"{name} {port} from {source}"
        for port, name in ADMIN_PORTS.items()
        if (source := acl_allows(acl["Entries"], port))
    ]
    return "; ".join(found) or None


@rule(
    "ec2-vpc-flow-logs",
    "VPCs record their traffic",
    "medium",
    read.load_vpcs,
    "cis-3.0:3.7",
    "fsbp:EC2.6",
    fix="Turn flow logs on, at least for rejected traffic.",
    command="aws ec2 create-flow-logs --resource-type VPC --resource-ids VPC --traffic-type REJECT "
    "--log-group-name NAME --deliver-logs-permission-arn ROLE",
)
def vpc_flow_logs(vpc: Fact) -> Problem:
    """Without them nobody can tell afterwards who talked to what."""
    active = [log for log in vpc["flow_logs"] if log.get("FlowLogStatus", "ACTIVE") == "ACTIVE"]
    return None if active else "no flow log"


@rule(
    "ec2-default-vpc-used",
    "The default VPC is not used",
    "info",
    read.load_vpcs,
    fix="Move what runs there into a VPC with private subnets.",
)
def default_vpc_used(vpc: Fact) -> Problem:
    """All its subnets are public: what is launched there gets an internet address."""
    if not vpc.get("IsDefault") or not vpc["interfaces"]:
        return None
    return f"{vpc['interfaces']} network interfaces in the default VPC"


@rule(
    "elb-tls",
    "Internet-facing load balancers speak HTTPS",
    "medium",
    read.load_load_balancers,
    fix="Add an HTTPS listener with an ACM certificate and redirect port 80 to it.",
    command="aws elbv2 create-listener --load-balancer-arn ARN --protocol HTTPS --port 443 "
    "--certificates CertificateArn=CERT --default-actions Type=forward,TargetGroupArn=TG",
)
def elb_tls(balancer: Fact) -> Problem:
    """Passwords and session cookies over plain HTTP can be read on the way."""
    if balancer.get("Type") != "application" or balancer.get("Scheme") != "internet-facing":
        return None
    plain = [
        str(listener["Port"])
        for listener in balancer["listeners"]
        if listener["Protocol"] == "HTTP" and not _redirects(listener.get("DefaultActions") or [])
    ]
    return f"plain HTTP on port {', '.join(sorted(plain))} with no redirect" if plain else None


def _redirects(actions: list[dict[str, object]]) -> bool:
    return any(
        action.get("Type") == "redirect"
        and isinstance(config := action.get("RedirectConfig"), dict)
        and config.get("Protocol") == "HTTPS"
        for action in actions
    )
