"""The parts of a load balancer: target group, itself and listeners, made and taken back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opswright_aws_devops.balancers.state import BALANCER, LISTENER, LoadBalancer
from opswright_aws_devops.balancers.targets import TargetMaker
from opswright_aws_devops.networking.routing import is_public
from opswright_aws_devops.ownership import Maker, Request, short_name
from opswright_core.aws import Aws, AwsTarget
from opswright_core.errors import BadInputError, OpswrightError
from opswright_core.recorder import Recorder
from opswright_core.undo import UndoStep, aws_undo

TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"
"""AWS's recommended policy: TLS 1.2 and 1.3 (Elastic Load Balancing user guide)."""
READY_SECONDS = 900.0


def check_name(name: str) -> None:
    """Raise BadInputError for a name that Elastic Load Balancing keeps for itself."""
    if name.startswith("internal-"):
        raise BadInputError(f"name {name!r}: AWS refuses names that begin with internal-.")


def require_public(a: Aws, vpc_id: str, subnet_ids: list[str]) -> None:
    """Raise BadInputError for subnets that the internet does not reach."""
    here = [{"Name": "vpc-id", "Values": [vpc_id]}]
    tables = a.pages("ec2", "describe_route_tables", "RouteTables", Filters=here)
    if private := [s for s in subnet_ids if not is_public(s, tables)]:
        raise BadInputError(
            f"{', '.join(private)} has no route to an internet gateway, so an internet-facing load "
            "balancer there could not be reached; give public subnets (create_network makes them), "
            "or make it internal."
        )


@dataclass(frozen=True)
class BalancerMaker:
    """Makes the parts of one request's load balancer, each once and with its inverse."""

    a: Aws
    rec: Recorder
    request: Request
    target: AwsTarget
    known: Mapping[str, str]

    @property
    def name(self) -> str:
        """Of the load balancer and its target group, cut to what AWS takes."""
        return short_name(self.request.name)

    @property
    def tags(self) -> list[dict[str, str]]:
        """What every part carries."""
        return self.request.tag_list(self.request.name)

    def _undo(
        self, delete: str, parameter: str, arn: str, describe: str, items: str
    ) -> list[UndoStep]:
        return [
            aws_undo(
                f"{delete.replace('_', ' ')} {arn.split(':', 5)[-1]}",
                "elbv2",
                delete,
                {parameter: arn},
                target=self.target,
                region=self.a.region,
                gone=(describe, {f"{parameter}s": [arn]}, f"{items}[]"),
                wait_gone=parameter == "LoadBalancerArn",
            )
        ]

    def target_group(self, **parameters: Any) -> str:
        """The target group; returns its ARN."""
        maker = TargetMaker(self.a, self.rec, self.request, self.target, self.known)
        return maker.target_group(self.name, **parameters)

    def balancer(self, what: str, attribute: str, **parameters: Any) -> str:
        """The load balancer once it is active, with an attribute on; returns its ARN.

        `what` says in words what the attribute does.
        """
        elb, name = self.a.client("elbv2"), self.name
        arn = Maker(self.rec, self.known).make(
            BALANCER,
            name,
            lambda: elb.create_load_balancer(Name=name, Tags=self.tags, **parameters)[
                "LoadBalancers"
            ][0]["LoadBalancerArn"],
            lambda arn: self._undo(
                "delete_load_balancer",
                "LoadBalancerArn",
                arn,
                "describe_load_balancers",
                "LoadBalancers",
            ),
        )

        def set_attribute() -> dict[str, str]:
            wanted = [{"Key": attribute, "Value": "true"}]
            elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=wanted)
            return {attribute: "true"}

        self.rec.step(what, set_attribute)
        self.rec.wait(
            f"load balancer {name} active",
            lambda: _is_active(elb, arn),
            timeout_seconds=READY_SECONDS,
        )
        return arn

    def listener(self, balancer_arn: str, port: int, **parameters: Any) -> str:
        """A listener on a port; returns its ARN."""
        elb = self.a.client("elbv2")
        return Maker(self.rec, self.known).make(
            LISTENER,
            f"{self.name}:{port}",
            lambda: elb.create_listener(
                LoadBalancerArn=balancer_arn, Port=port, Tags=self.tags, **parameters
            )["Listeners"][0]["ListenerArn"],
            lambda arn: self._undo(
                "delete_listener", "ListenerArn", arn, "describe_listeners", "Listeners"
            ),
        )

    def outputs(
        self, balancer_arn: str, group_arn: str, listener_arn: str, url: str
    ) -> LoadBalancer:
        """What was made; `{}` in `url` is where its DNS name goes."""
        if self.a.is_emulator:
            self.rec.gap("The emulator's load balancer forwards no traffic: it answers nothing.")
        elb = self.a.client("elbv2")
        (made,) = elb.describe_load_balancers(LoadBalancerArns=[balancer_arn])["LoadBalancers"]
        return LoadBalancer(
            load_balancer_arn=balancer_arn,
            load_balancer_name=self.name,
            dns_name=made["DNSName"],
            url=url.format(made["DNSName"]),
            target_group_arn=group_arn,
            target_group_name=self.name if group_arn else "",
            listener_arn=listener_arn,
        )


def _is_active(elb: Any, balancer_arn: str) -> bool:
    (found,) = elb.describe_load_balancers(LoadBalancerArns=[balancer_arn])["LoadBalancers"]
    if found["State"]["Code"] == "failed":
        raise OpswrightError(
            f"The load balancer failed: {found['State'].get('Reason', 'no reason given')}. "
            "undo_change removes what was made."
        )
    return bool(found["State"]["Code"] == "active")
