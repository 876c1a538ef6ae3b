"""The agent's card: what it can do, with which schemas and risks, and what it needs. Read as `agent://card`."""

from collections.abc import Sequence
from typing import Any

from opswright_core.agent.skills import Skill


def agent_card(
    name: str,
    title: str,
    instructions: str,
    version: str,
    skills: Sequence[Skill],
    requirements: Sequence[str],
    tools: Sequence[Any],
) -> dict[str, Any]:
    """Describe an agent as plain JSON; `tools` are the ones listed now (read-only hides some)."""
    return {
        "name": name,
        "title": title,
        "version": version,
        "description": instructions.split("\n\n")[0].strip(),
        "requirements": list(requirements),
        "skills": [
            {
                "name": s.name,
                "description": s.description,
                "examples": list(s.examples),
                "risk": s.risk,
                "inputs": s.inputs.model_json_schema(),
            }
            for s in skills
        ],
        "tools": [
            {
                "name": t.name,
                "risk": ((t.meta or {}).get("opswright") or {}).get("risk", "destructive"),
            }
            for t in tools
        ],
    }
