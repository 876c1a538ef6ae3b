"""The places that were deployed to, an application in an environment each, one after the other.

DISTINCT would read every deployment for the few places that there are; here an index leads from one
place to the next.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, case, cast, func, literal, select

from opswright_knowledge.storage.names import MOST_NAMES, Source, steps
from opswright_knowledge.storage.schema import TEXT, deployments

if TYPE_CHECKING:
    from opswright_knowledge.storage.unit_of_work import UnitOfWork

Place = tuple[str, str]
"""(application, environment)"""


class Places:
    """The places that were deployed to, within a transaction."""

    def __init__(
        self, unit: "UnitOfWork", application: str | None = None, environment: str | None = None
    ) -> None:
        """Those of an application, or in an environment, alone where these are given."""
        self._unit = unit
        self._application = application
        self._environment = environment

    def after(self, place: Sequence[str] | None, most: int) -> list[Place]:
        """The first places after one, by application and environment; `most` of them at most."""
        return [(one, other) for one, other in self._found(place, most)]

    def count(self) -> int:
        """How many there are, as far as `MOST_NAMES` and one."""
        return len(self._found(None, MOST_NAMES + 1))

    def _found(self, after: Sequence[str] | None, most: int) -> Sequence[Any]:
        c, own = deployments.c, self._unit.own(deployments)
        execute = self._unit.connection.execute
        if (application := self._application) is not None:
            fits = [own, c.application == application]
            if self._environment is not None:
                fits.append(c.environment == self._environment)
            asked = steps(Source(c.environment, fits), after=after[1] if after else None, most=most)
            return [(application, name) for name in execute(asked).scalars()]
        if self._environment is not None:
            fits = [own, c.environment == self._environment]
            asked = steps(Source(c.application, fits), after=after[0] if after else None, most=most)
            return [(name, self._environment) for name in execute(asked).scalars()]
        return execute(self._all(after or ("", ""), most)).all()

    def _all(self, after: Sequence[str], most: int) -> Select[Any]:
        """A query for all, from one to the next.

        A step goes to an application's next environment or, from its last, to the next application
        with "" for an environment.
        """
        c, own = deployments.c, self._unit.own(deployments)
        first = [cast(literal(part), TEXT) for part in after]
        step = select(
            first[0].label("application"), first[1].label("environment"), literal(0).label("number")
        ).cte("step", recursive=True)
        environment = (
            select(func.min(c.environment))
            .where(own, c.application == step.c.application, c.environment > step.c.environment)
            .scalar_subquery()
        )
        application = (
            select(func.min(c.application))
            .where(own, c.application > step.c.application)
            .scalar_subquery()
        )
        following = select(
            case((environment.is_not(None), step.c.application), else_=application),
            func.coalesce(environment, ""),
            step.c.number + 1,
        ).where(step.c.application.is_not(None), step.c.number <= 2 * most)
        step = step.union_all(following)
        found = select(step.c.application, step.c.environment)
        there = step.c.application.is_not(None) & (step.c.environment != "") & (step.c.number > 0)
        return found.where(there).order_by(step.c.number).limit(most)
