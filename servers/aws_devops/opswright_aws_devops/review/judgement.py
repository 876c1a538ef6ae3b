"""A whole review: every rule over every resource that will be, and the data that changes cost."""

from collections import Counter
from collections.abc import Iterable

from opswright_aws_devops.review import access
from opswright_aws_devops.review.findings import ReviewFinding, Rule
from opswright_aws_devops.review.losses import GOES_WITH_STACK, LOSS, kept_with_stack, loss_of
from opswright_aws_devops.review.resources import UNKNOWN, Change, Resource
from opswright_aws_devops.review.rules import RULES

ONE_NAT = Rule(
    "one-nat-gateway", "availability", "medium", "All subnets share one NAT gateway",
    "Make one in each zone, with a route table of its own", "AWS Well-Architected REL10-BP01",
    {}, lambda _: None,
)  # fmt: skip
ALONE = Rule(
    "single-server", "availability", "low", "A server of its own is not replaced when it is lost",
    "Put it in an auto-scaling group, or make another", "AWS Well-Architected REL10-BP01",
    {}, lambda _: None,
)  # fmt: skip

EVERY_RULE = (*RULES, *access.RULES, LOSS, GOES_WITH_STACK, ONE_NAT, ALONE)

_NATS = {"AWS::EC2::NatGateway", "aws_nat_gateway"}
_SUBNETS = {"AWS::EC2::Subnet", "aws_subnet"}
_SERVERS = {"AWS::EC2::Instance", "aws_instance"}


def judge(
    resources: Iterable[Resource], changes: Iterable[Change]
) -> tuple[list[ReviewFinding], int]:
    """What is wrong or not known of what will be there, and how many judgements passed."""
    will = list(resources)
    found: list[ReviewFinding] = []
    passed = 0
    for resource in will:
        for rule in RULES:
            verdict = rule.judge(resource)
            if verdict == "PASS":
                passed += 1
            elif verdict is not None:
                found.append(rule.finding(resource, verdict, _undecided(verdict)))
        for rule, verdict, detail in access.judge(resource):
            if verdict == "PASS":
                passed += 1
            else:
                found.append(rule.finding(resource, verdict, detail))
        kept = kept_with_stack(resource) if resource.attributes else None
        if kept is False:
            found.append(GOES_WITH_STACK.finding(resource, "FAIL", resource.type))
        passed += kept is True
    found += filter(None, map(loss_of, changes))
    found += _alone(will)
    return found, passed


def types_without_rule(resources: Iterable[Resource]) -> list[str]:
    """The types that no rule here looks at."""
    judged = {kind for rule in RULES for kind in rule.paths} | access.JUDGED | _NATS | _SUBNETS
    return sorted({resource.type for resource in resources} - judged)


def _undecided(verdict: str) -> str:
    return "decided by a value that is not known yet" if verdict == "UNKNOWN" else ""


def _alone(resources: list[Resource]) -> list[ReviewFinding]:
    """Single points of failure that only the whole shows."""
    counts = Counter(resource.type for resource in resources)
    subnets = sum(counts[kind] for kind in _SUBNETS)
    nats = [resource for resource in resources if resource.type in _NATS]
    found = []
    if len(nats) == 1 and subnets >= 3:
        modes = {nats[0].one("AvailabilityMode"), nats[0].one("availability_mode")}
        if "regional" not in modes:
            unsure = UNKNOWN in modes
            found.append(ONE_NAT.finding(nats[0], "UNKNOWN" if unsure else "FAIL"))
    servers = [resource for resource in resources if resource.type in _SERVERS]
    if len(servers) == 1:
        found.append(ALONE.finding(servers[0], "FAIL"))
    return found
