"""What an ELBv2 target health reason code means, and what to do about it.

Source: ELBv2 API Reference, TargetHealth.Reason.
"""

from typing import NamedTuple


class Reason(NamedTuple):
    """The lower the rank, the more surely it is a cause and not the symptom of another."""

    rank: int
    meaning: str
    next: str


REASONS = {
    "Target.InvalidState": Reason(
        1,
        "the instance is stopped or terminated",
        "Start it, or let its Auto Scaling group replace it.",
    ),
    "Target.NotInUse": Reason(
        2,
        "no enabled listener or Availability Zone of the load balancer uses it",
        "Add a listener rule that forwards to the target group, or enable the target's zone.",
    ),
    "Target.IpUnusable": Reason(
        2, "its address cannot be used by a load balancer", "Register another address."
    ),
    "Target.NotRegistered": Reason(
        2,
        "it is not registered",
        "Register it, or attach the target group to the Auto Scaling group.",
    ),
    "Target.Timeout": Reason(
        3,
        "health checks time out: a security group, a network ACL, or an application that hangs "
        "or does not listen",
        "Check that the application listens on the port and that security groups and network "
        "ACLs let the load balancer in.",
    ),
    "Target.FailedHealthChecks": Reason(
        4,
        "the connection is refused or the answer malformed: the application is down or listens "
        "elsewhere",
        "Read the application's log; check that it listens on the health check's port.",
    ),
    "Target.ResponseCodeMismatch": Reason(
        4,
        "the health check's path answers another code than is expected",
        "Request the health check's path on the instance; mend the application, or the check's "
        "path and codes.",
    ),
    "Elb.InternalError": Reason(
        5,
        "the load balancer has an internal error",
        "Wait a few minutes; if it stays, see the AWS Health Dashboard.",
    ),
    "Target.HealthCheckDisabled": Reason(6, "health checks are off", "Turn the health checks on."),
    "Elb.RegistrationInProgress": Reason(
        8, "it is being registered", "Wait for the first health checks."
    ),
    "Elb.InitialHealthChecking": Reason(
        8, "its first health checks are under way", "Wait for them."
    ),
    "Target.DeregistrationInProgress": Reason(
        9, "it is draining", "Nothing, if a deploy or scale-in is under way."
    ),
}


def explain(state: str, reason: str) -> Reason:
    """What a target's state and reason code mean; a code not known here is quoted."""
    unknown = Reason(
        5, f"state {state}, reason {reason or 'not given'}", "Read the target's health."
    )
    return REASONS.get(reason, unknown)
