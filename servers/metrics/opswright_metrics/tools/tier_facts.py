"""What is known of a web tier, as data; what could not be read is `Unread`."""

from dataclasses import dataclass, field

from opswright_core.verdicts import Unread


@dataclass(frozen=True, kw_only=True)
class TargetHealth:
    """One registered target, as the load balancer sees it."""

    id: str
    port: int
    state: str
    reason: str = ""
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Instance:
    """An EC2 instance of the tier; `status` is its status checks' outcome, None when not read."""

    id: str
    state: str
    zone: str
    private_ip: str
    security_groups: tuple[str, ...]
    status: str | None = None


@dataclass(frozen=True, kw_only=True)
class LoadBalancer:
    """A load balancer; `subnet_cidrs` are where its nodes' addresses come from."""

    arn: str
    name: str
    dimension: str
    state: str
    zones: tuple[str, ...]
    security_groups: tuple[str, ...]
    subnet_cidrs: tuple[str, ...] | Unread


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One security group rule: where from (or to), over which protocol and ports."""

    protocol: str
    from_port: int
    to_port: int
    cidrs: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    prefix_lists: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SecurityGroup:
    """A security group's rules."""

    id: str
    ingress: tuple[Rule, ...]
    egress: tuple[Rule, ...]


@dataclass(frozen=True, kw_only=True)
class Group:
    """An Auto Scaling group; `failures` are its latest failed activities, newest first."""

    name: str
    desired: int
    in_service: int
    unhealthy: int
    suspended: tuple[str, ...]
    failures: tuple[str, ...] | Unread = ()


@dataclass(frozen=True, kw_only=True)
class TargetGroup:
    """A target group and its targets' health."""

    arn: str
    name: str
    port: int
    target_type: str
    health_check: str
    health_check_port: str
    load_balancers: tuple[str, ...]
    targets: tuple[TargetHealth, ...] | Unread


@dataclass(frozen=True, kw_only=True)
class Tier:
    """All that was read; maps are by id."""

    target_groups: tuple[TargetGroup, ...] | Unread
    left_out: int = 0
    load_balancers: dict[str, LoadBalancer] | Unread = field(default_factory=dict)
    instances: dict[str, Instance] | Unread = field(default_factory=dict)
    security_groups: dict[str, SecurityGroup] | Unread = field(default_factory=dict)
    groups: tuple[Group, ...] | Unread = ()
    alarms: tuple[str, ...] | Unread = ()
    errors: dict[str, float] | Unread = field(default_factory=dict)
    """`<load balancer> <metric>` → how many in the last 15 minutes."""
