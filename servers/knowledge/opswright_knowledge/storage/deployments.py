"""The history of deployments."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, insert, select, update

from opswright_core.canonical import digest
from opswright_core.journal import new_id
from opswright_knowledge.addresses import key_of
from opswright_knowledge.kept import kept
from opswright_knowledge.records import Deployment, DeploymentRecord, Recorded, Running
from opswright_knowledge.running import judge
from opswright_knowledge.storage.places import Places
from opswright_knowledge.storage.schema import deployments

if TYPE_CHECKING:
    from opswright_knowledge.storage.unit_of_work import UnitOfWork

RECENT = 10
"""How many deployments of a place are looked at to tell what runs there."""


class Deployments:
    """The deployments, within a transaction."""

    def __init__(self, unit: "UnitOfWork") -> None:
        self._unit = unit
        self._connection = unit.connection

    def record(self, record: DeploymentRecord) -> tuple[str, Recorded]:
        """Record a deployment, or the news of one: returns (deployment_id, its place in the log).

        The same `deployment_id`, or the same run and step, is the same deployment; fields that were
        not sent then stay. A new one without `rollback_target` gets the version that succeeded last
        there.
        """
        sent = kept(record.model_dump(exclude_unset=True), "the deployment")
        deployment_id = record.deployment_id or self._id_of(record)
        current = self._row(deployment_id)
        if current is not None:
            changed = {key: value for key, value in sent.items() if current[key] != value}
            if not changed:
                return deployment_id, Recorded(revision=self._unit.revision, unchanged=1)
            where = {**current, **changed}
            key = key_of(where["application"], where["environment"], deployment_id)
            before = {name: current[name] for name in changed}
            (revision,) = self._unit.log("deployment", [(key, "updated")], [before])
            self._connection.execute(
                update(deployments)
                .where(*self._at(deployment_id))
                .values(**changed, **self._unit.origin(revision))
            )
            return deployment_id, Recorded(revision=revision)
        row = kept(record.model_dump(), "the deployment")
        if row["rollback_target"] is None:
            row["rollback_target"] = self._last_good(record)
        key = key_of(record.application, record.environment, deployment_id)
        (revision,) = self._unit.log("deployment", [(key, "created")])
        row |= {
            "deployment_id": deployment_id,
            "first_revision": revision,
            "started_at": self._unit.now,
        }
        self._connection.execute(insert(deployments).values(**row, **self._unit.origin(revision)))
        return deployment_id, Recorded(revision=revision)

    def find(
        self,
        *,
        application: str | None = None,
        environment: str | None = None,
        status: str | None = None,
        before: int | None = None,
        limit: int = 20,
    ) -> tuple[list[tuple[int, Deployment]], int]:
        """Deployments that fit, newest first, each with its place in the list.

        Returns at most `limit` + 1, and how many there are (see `UnitOfWork.counted`).
        """
        c = deployments.c
        wanted = ((c.application, application), (c.environment, environment), (c.status, status))
        fits = [self._unit.own(deployments), *(col == v for col, v in wanted if v is not None)]
        total = self._unit.counted(select(c.first_revision).where(*fits))
        if before is not None:
            fits.append(c.first_revision < before)
        asked = select(deployments).where(*fits).order_by(c.first_revision.desc()).limit(limit + 1)
        rows = self._connection.execute(asked).mappings()
        return [
            (row["first_revision"], Deployment.model_validate(dict(row))) for row in rows
        ], total

    def running(
        self,
        *,
        application: str | None = None,
        environment: str | None = None,
        after: Sequence[str] | None = None,
        limit: int = 50,
    ) -> tuple[list[Running], int]:
        """What runs where, by application and environment.

        Returns at most `limit` + 1, and how many places there are, counted as far as `MOST_NAMES`
        and one.
        """
        places = Places(self._unit, application, environment)
        page = places.after(after, limit + 1)
        return [judge(self._latest(*place)) for place in page], places.count()

    def _latest(self, application: str, environment: str) -> list[Deployment]:
        """The last deployments to a place, newest first."""
        c = deployments.c
        place = (c.application == application, c.environment == environment)
        asked = select(deployments).where(self._unit.own(deployments), *place)
        asked = asked.order_by(c.first_revision.desc()).limit(RECENT)
        rows = self._connection.execute(asked).mappings()
        return [Deployment.model_validate(dict(row)) for row in rows]

    def _id_of(self, record: DeploymentRecord) -> str:
        by = self._unit.by
        if by.run_id is None:
            return new_id("dp")
        same = [by.run_id, by.step, record.application, record.environment, record.version]
        return f"dp-{digest(same)[:16]}"

    def _at(self, deployment_id: str) -> tuple[ColumnElement[bool], ...]:
        return self._unit.own(deployments), deployments.c.deployment_id == deployment_id

    def _row(self, deployment_id: str) -> dict[str, object] | None:
        asked = select(deployments).where(*self._at(deployment_id))
        row = self._connection.execute(asked).mappings().first()
        return dict(row) if row else None

    def _last_good(self, record: DeploymentRecord) -> str | None:
        c = deployments.c
        asked = (
            select(c.version)
            .where(self._unit.own(deployments))
            .where(c.application == record.application, c.environment == record.environment)
            .where(c.status == "succeeded", c.version != record.version)
            .order_by(c.first_revision.desc())
            .limit(1)
        )
        found: str | None = self._connection.execute(asked).scalar_one_or_none()
        return found
