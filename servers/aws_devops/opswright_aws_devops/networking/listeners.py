"""A load balancer's listener: what its rules send where, and where a new rule has its place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from opswright_aws_devops.lookup import must_exist
from opswright_core.aws import Aws
from opswright_core.errors import BadInputError, ConflictError

EVERYTHING = "/*"
_FIRST, _FIRST_OF_EVERYTHING, _LAST = 1000, 40_000, 50_000
"""Where priorities begin: rules for one path come before the one for every path. 50,000 is the
last that a listener has."""


@dataclass(frozen=True)
class Listener:
    """A listener with its load balancer and rules, as Elastic Load Balancing describes them."""

    listener: dict[str, Any]
    balancer: dict[str, Any]
    rules: list[dict[str, Any]]

    @property
    def url(self) -> str:
        """Where its visitors go."""
        protocol, port = self.listener["Protocol"].lower(), self.listener["Port"]
        usual = {"http": 80, "https": 443}.get(protocol) == port
        return f"{protocol}://{self.balancer['DNSName']}{'' if usual else f':{port}'}"


def load_listener(a: Aws, arn: str) -> Listener:
    """A listener that was named. Raises NotFoundError."""
    elb = a.client("elbv2")
    (listener,) = must_exist(
        f"Listener {arn}", lambda: elb.describe_listeners(ListenerArns=[arn])["Listeners"]
    )
    balancers = elb.describe_load_balancers(LoadBalancerArns=[listener["LoadBalancerArn"]])
    rules = a.pages("elbv2", "describe_rules", "Rules", ListenerArn=arn)
    return Listener(listener, balancers["LoadBalancers"][0], rules)


def issued_certificate(a: Aws, arn: str) -> dict[str, Any]:
    """ACM's description of a certificate. Raises NotFoundError, or BadInputError if unissued."""
    acm = a.client("acm")
    certificate: dict[str, Any] = must_exist(
        f"Certificate {arn}",
        lambda: acm.describe_certificate(CertificateArn=arn)["Certificate"],
    )
    if certificate["Status"] != "ISSUED":
        raise BadInputError(
            f"Certificate {arn} is {certificate['Status']}; validate its domain first, or name "
            "another that is issued."
        )
    return certificate


def paths_of(rule: dict[str, Any]) -> list[str]:
    """The path patterns of a rule that asks for nothing else, [] for other rules."""
    conditions = rule.get("Conditions", [])
    if len(conditions) != 1 or conditions[0].get("Field") != "path-pattern":
        return []
    config = conditions[0].get("PathPatternConfig") or {}
    values: list[str] = config.get("Values") or conditions[0].get("Values") or []
    return values


def free_priority(rules: Sequence[dict[str, Any]], path: str, own_rule_arn: str | None) -> int:
    """The priority of a new rule for a path; that of its own rule, where it is there already.

    Raises ConflictError when another rule takes the path before it.
    """
    others = [r for r in rules if not r.get("IsDefault") and r["RuleArn"] != own_rule_arn]
    taken = {int(rule["Priority"]): rule for rule in others}
    own = next((int(r["Priority"]) for r in rules if r["RuleArn"] == own_rule_arn), None)
    first = _FIRST_OF_EVERYTHING if path == EVERYTHING else _FIRST
    free = own or next(n for n in range(first, _LAST + 1) if n not in taken)
    for priority, rule in sorted(taken.items()):
        if {path, EVERYTHING} & set(paths_of(rule)) and (priority < free or path in paths_of(rule)):
            raise ConflictError(
                f"The listener's rule {priority} sends {', '.join(paths_of(rule))} elsewhere "
                "already; choose another path, or another listener."
            )
    return free
