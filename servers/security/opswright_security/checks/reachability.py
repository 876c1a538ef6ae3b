"""Judges what the internet could reach, by routes, groups and addresses together."""

from opswright_core.verdicts import Unread
from opswright_security.exposure import is_cidr, is_inside, is_world
from opswright_security.facts import reachability as read
from opswright_security.facts.application import APPLICATION_TAGS
from opswright_security.reading import Fact, UnreadError
from opswright_security.rules import Problem, rule


@rule(
    "rds-reachable",
    "The internet cannot reach a database",
    "critical",
    read.load_databases,
    fix="Close the group's rule, turn PubliclyAccessible off, and move it to private subnets.",
)
def rds_reachable(database: Fact) -> Problem:
    """A public address, a route to the internet and an open port: anybody may attack it."""
    if not database.get("PubliclyAccessible"):
        return None
    world = [str(o) for o in database["openings"] if is_world(o.source)]
    if not world or not database["public_subnets"]:
        return None
    return f"public address, public subnet, and {'; '.join(world)}"


@rule(
    "rds-public-subnet",
    "Databases are in private subnets",
    "high",
    read.load_databases,
    fix="Make a subnet group of private subnets and move the database to it.",
)
def rds_public_subnet(database: Fact) -> Problem:
    """A route to an internet gateway leaves only a flag and a rule between it and the world."""
    subnets = database["public_subnets"]
    return f"routes to an internet gateway from {', '.join(subnets)}" if subnets else None


@rule(
    "rds-ingress-outside",
    "Databases let in nobody from outside their VPC",
    "high",
    read.load_databases,
    fix="Replace the address ranges by the security group of the application.",
)
def rds_ingress_outside(database: Fact) -> Problem:
    """Who is let in by address from outside is let in without anyone knowing who it is."""
    openings = database["openings"]
    cidrs = database["vpc_cidrs"]
    outside = [str(o) for o in openings if is_cidr(o.source) and not is_inside(o.source, cidrs)]
    if outside:
        return "; ".join(outside)
    if lists := [o.source for o in openings if o.source.startswith("pl-")]:
        raise UnreadError(
            Unread(
                operation="ec2:GetManagedPrefixListEntries",
                reason=f"prefix lists are not looked into: {', '.join(lists)}",
            )
        )
    return None


@rule(
    "rds-ingress-groups",
    "Databases let in only the groups of what uses them",
    "medium",
    read.load_databases,
    fix="Let in the application's security group in place of address ranges and default groups.",
)
def rds_ingress_groups(database: Fact) -> Problem:
    """With a range of addresses everything else in the VPC may talk to it too."""
    default = database["default_groups"]
    wide = [str(o) for o in database["openings"] if is_cidr(o.source) or o.source in default]
    return "; ".join(wide) or None


@rule(
    "rds-password-secret",
    "Database passwords are kept in Secrets Manager",
    "medium",
    read.load_databases,
    fix="Let RDS manage the master password, or keep it in a secret named after the database.",
    command="aws rds modify-db-instance --db-instance-identifier ID --manage-master-user-password",
)
def rds_password_secret(database: Fact) -> Problem:
    """A password that is kept nowhere safe is kept in a file, a template or a chat."""
    if database.get("MasterUserSecret"):
        return None
    tags = {t["Key"]: t["Value"] for t in database.get("TagList") or []}
    names = {database.id} | {tags[key] for key in APPLICATION_TAGS if key in tags}
    kept = any(_is_for(secret, names) for secret in database["secrets"])
    return None if kept else "no secret is named or tagged for it"


def _is_for(secret: Fact, names: set[str]) -> bool:
    tagged = {t["Value"] for t in secret.get("Tags") or [] if t["Key"] in APPLICATION_TAGS}
    words = f"{secret.id} {secret.get('Description', '')}"
    return bool(tagged & names) or any(name in words for name in names)


@rule(
    "ec2-instance-public",
    "The internet reaches no instance directly",
    "high",
    read.load_public_instances,
    fix="Put it in a private subnet behind a load balancer, or let in named networks only.",
)
def instance_public(instance: Fact) -> Problem:
    """A load balancer as the only entry gives one place for TLS, a firewall and logs."""
    world = [str(o) for o in instance["openings"] if is_world(o.source)]
    return f"{instance['PublicIpAddress']}: {'; '.join(world)}" if world else None
