"""The blueprints that come with opswright hold against the real servers' schemas."""

from pathlib import Path

from tests.evals.team import real_team

from opswright.plan import Plan
from opswright.planners import blueprint
from opswright.verifier import examine


async def test_every_blueprint_passes_the_verifier_on_the_real_servers(tmp_path: Path) -> None:
    async with real_team(tmp_path) as agents:
        for template in blueprint.load():
            given = {name: "v1.0.0" for name, p in template.parameters.items() if p.required}
            plan = blueprint.build(template, template.examples[0], given, "plan-test")
            assert isinstance(plan, Plan)
            verdict = examine(plan, agents)
            assert verdict.findings == [], template.name
            assert {f.step for f in verdict.unproven} <= {s.id for s in plan.steps}
