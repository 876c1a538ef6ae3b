"""Skills that let people reach servers."""

from opswright_aws_devops.skills.wordings import InVpc
from opswright_core.agent.report import Outcome
from opswright_core.agent.skills import skill
from opswright_core.agent.worker import Worker


@skill(
    "bastion-less access to the servers in vpc-0a1b2c",
    "reach the instances of vpc-0a1b2c without a bastion or SSH keys",
    "set up Session Manager access for the servers of vpc-0a1b2c",
    risk="write",
)
async def provide_session_access(worker: Worker, inputs: InVpc) -> Outcome:
    """Give bastion-less access to a VPC's servers by Session Manager: endpoints, and what lacks."""
    vpc_id, where = await inputs.found(worker), inputs.where
    found = await worker.call("check_session_access", vpc_id=vpc_id, **where)
    if not found["servers"]:
        return Outcome(
            summary=f"No server runs in {vpc_id}, so nothing was made. Ask again when some do.",
            outputs=found,
        )
    if missing := found["missing_endpoints"]:
        asked = {"name": f"{vpc_id}-sessions", "vpc_id": vpc_id, "services": missing}
        await worker.call("create_vpc_endpoints", **asked, **where)
        found = await worker.call("check_session_access", vpc_id=vpc_id, **where)
    made = f"Endpoints of {', '.join(missing)} were made. " if missing else ""
    lines = [
        f"{server['instance_id']}: {check['evidence']}"
        for server in found["servers"]
        for check in server["checks"]
    ]
    if found["left_out"]:
        lines.append(f"{found['left_out']} more servers were not looked at")
    return Outcome(
        summary=made
        + (
            f"Still missing: {'; '.join(lines[:10])}."
            if lines
            else f"All {len(found['servers'])} servers can be reached: "
            "aws ssm start-session --target INSTANCE."
        ),
        status="partial" if lines else "completed",
        outputs=found,
    )
