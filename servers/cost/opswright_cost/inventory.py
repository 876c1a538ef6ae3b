"""Reads what runs in a region, as priced components."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from opswright_core.aws import Aws, tags_of
from opswright_core.errors import BadInputError
from opswright_core.verdicts import Unread, attempt
from opswright_cost.components import Component

T = TypeVar("T")
LINUX = "Linux/UNIX"


@dataclass(frozen=True)
class Scope:
    """Which resources count: of one VPC, with one tag, or all of the region."""

    vpc_id: str | None = None
    tag: tuple[str, str] | None = None

    @classmethod
    def parse(cls, vpc_id: str | None, tag: str | None) -> "Scope":
        """Read a tag given as `key=value`. Raises BadInputError for another form."""
        if tag is None:
            return cls(vpc_id)
        key, equals, value = tag.partition("=")
        if not key or not equals:
            raise BadInputError(f"tag {tag!r} is not of the form key=value, like Environment=prod.")
        return cls(vpc_id, (key, value))

    @property
    def is_whole_region(self) -> bool:
        """Whether nothing narrows it."""
        return self.vpc_id is None and self.tag is None

    def tagged(self, tags: dict[str, str]) -> bool:
        """Whether a resource with these tags is inside."""
        return self.tag is None or tags.get(self.tag[0]) == self.tag[1]


@dataclass
class Inventory:
    """What was found: components of one each, what could not be read, and how many of each kind."""

    components: list[Component] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def read(self, what: str, gather: Callable[[], list[T]]) -> list[T]:
        """Run one read; a refused one is noted and gives nothing."""
        found = attempt(gather)
        if isinstance(found, Unread):
            self.unread.append(f"{what}: {found.reason}")
            return []
        return found

    def add(self, what: str, components: list[Component]) -> None:
        """Count and keep components."""
        self.counts[what] = self.counts.get(what, 0) + len(components)
        self.components += components


def load_inventory(a: Aws, scope: Scope) -> Inventory:
    """Read what is billed by existing; not serverless, containers, S3 or data transfer.

    Instances, volumes, databases, NAT gateways, load balancers, public IPv4 addresses, and for a
    whole region also alarms and secrets.
    """
    found = Inventory()
    _instances(a, scope, found)
    _databases(a, scope, found)
    _network(a, scope, found)
    if scope.is_whole_region:
        _per_item(a, found)
    return found


def grouped(components: list[Component]) -> list[Component]:
    """Equal components as one with a count; those with storage stay apart by their size."""
    counts = Counter(components)
    return [c.model_copy(update={"count": n}) for c, n in counts.items()]


def instance_component(instance: dict[str, Any]) -> Component:
    """An instance; what is not plain on-demand Linux gets a type without a price here."""
    platform = instance.get("PlatformDetails") or LINUX
    extra = [] if platform == LINUX else [platform]
    if lifecycle := instance.get("InstanceLifecycle"):
        extra.append(lifecycle)
    return Component(kind="ec2", type=" ".join([instance["InstanceType"], *extra])[:60])


def volume_component(volume: dict[str, Any]) -> Component:
    """A volume, by its type and size."""
    return Component(kind="ebs", type=volume["VolumeType"], storage_gb=volume["Size"])


def database_component(db: dict[str, Any]) -> Component:
    """A database instance with its storage."""
    return Component(
        kind="rds",
        type=db["DBInstanceClass"],
        engine=db["Engine"],
        multi_az=bool(db.get("MultiAZ")),
        storage_gb=db.get("AllocatedStorage") or 0,
        storage_type=db.get("StorageType") or "gp2",
    )


def balancer_component(balancer: dict[str, Any]) -> Component:
    """A load balancer, without its capacity units."""
    return Component(kind="load_balancer", type=balancer["Type"])


def load_instances(a: Aws, states: list[str], **filters: list[str]) -> list[dict[str, Any]]:
    """Instances in some states; `filters` are further EC2 filters by name."""
    by = {"instance-state-name": states, **filters}
    reservations = a.pages(
        "ec2",
        "describe_instances",
        "Reservations",
        Filters=[{"Name": name, "Values": values} for name, values in by.items()],
    )
    return [instance for reservation in reservations for instance in reservation["Instances"]]


def _instances(a: Aws, scope: Scope, found: Inventory) -> None:
    instances = [
        i
        for i in found.read("instances", lambda: load_instances(a, ["running", "stopped"]))
        if scope.vpc_id in {None, i.get("VpcId")} and scope.tagged(tags_of(i.get("Tags")))
    ]
    running = [i for i in instances if i["State"]["Name"] == "running"]
    found.add("running instances", [instance_component(i) for i in running])
    ids = {i["InstanceId"] for i in instances}
    volumes = found.read("volumes", lambda: a.pages("ec2", "describe_volumes", "Volumes"))
    inside = [
        v
        for v in volumes
        if scope.is_whole_region
        or any(at["InstanceId"] in ids for at in v.get("Attachments", []))
        or (scope.vpc_id is None and scope.tagged(tags_of(v.get("Tags"))))
    ]
    found.add("volumes", [volume_component(v) for v in inside])


def _databases(a: Aws, scope: Scope, found: Inventory) -> None:
    databases = [
        db
        for db in found.read(
            "databases", lambda: a.pages("rds", "describe_db_instances", "DBInstances")
        )
        if scope.vpc_id in {None, (db.get("DBSubnetGroup") or {}).get("VpcId")}
        and scope.tagged(tags_of(db.get("TagList")))
    ]
    found.add("databases", [database_component(db) for db in databases])


def _network(a: Aws, scope: Scope, found: Inventory) -> None:
    gateways = [
        g
        for g in found.read(
            "NAT gateways", lambda: a.pages("ec2", "describe_nat_gateways", "NatGateways")
        )
        if g["State"] in {"available", "pending"}
        and scope.vpc_id in {None, g.get("VpcId")}
        and scope.tagged(tags_of(g.get("Tags")))
    ]
    found.add("NAT gateways", [Component(kind="nat_gateway") for _ in gateways])
    balancers = [
        b
        for b in found.read("load balancers", lambda: _balancers(a, scope))
        if scope.vpc_id in {None, b.get("VpcId")}
    ]
    found.add("load balancers", [balancer_component(b) for b in balancers])
    addresses = found.read("public IPv4 addresses", lambda: _public_addresses(a, scope))
    found.add("public IPv4 addresses", [Component(kind="elastic_ip") for _ in addresses])


def _balancers(a: Aws, scope: Scope) -> list[dict[str, Any]]:
    balancers: list[dict[str, Any]] = a.pages("elbv2", "describe_load_balancers", "LoadBalancers")
    if scope.tag is None:
        return balancers
    tags: dict[str, dict[str, str]] = {}
    arns = [b["LoadBalancerArn"] for b in balancers]
    for start in range(0, len(arns), 20):
        answer = a.client("elbv2").describe_tags(ResourceArns=arns[start : start + 20])
        tags |= {t["ResourceArn"]: tags_of(t["Tags"]) for t in answer["TagDescriptions"]}
    return [b for b in balancers if scope.tagged(tags.get(b["LoadBalancerArn"], {}))]


def _public_addresses(a: Aws, scope: Scope) -> list[str]:
    """Public IPv4 addresses of the scope's interfaces; for a whole region also idle Elastic IPs."""
    interfaces = a.pages("ec2", "describe_network_interfaces", "NetworkInterfaces")
    inside = [
        i
        for i in interfaces
        if scope.vpc_id in {None, i.get("VpcId")} and scope.tagged(tags_of(i.get("TagSet")))
    ]
    used = {(i.get("Association") or {}).get("PublicIp") for i in inside}
    own = {i["NetworkInterfaceId"] for i in inside}
    for address in a.pages("ec2", "describe_addresses", "Addresses"):
        tagged = scope.vpc_id is None and scope.tagged(tags_of(address.get("Tags")))
        if tagged or address.get("NetworkInterfaceId") in own:
            used.add(address["PublicIp"])
    return sorted(ip for ip in used if ip)


def _per_item(a: Aws, found: Inventory) -> None:
    alarms = found.read("alarms", lambda: a.pages("cloudwatch", "describe_alarms", "MetricAlarms"))
    found.add("alarms", [Component(kind="alarm") for _ in alarms])
    secrets = found.read("secrets", lambda: a.pages("secretsmanager", "list_secrets", "SecretList"))
    found.add("secrets", [Component(kind="secret") for _ in secrets])
