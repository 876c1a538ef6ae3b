"""The history of deployments."""

from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, func, insert, select, update

from opswright_core.canonical import digest
from opswright_core.journal import new_id
from opswright_knowledge.kept import kept
from opswright_knowledge.records import Deployment, DeploymentRecord, Recorded
from opswright_knowledge.storage.schema import deployments

if TYPE_CHECKING:
    from opswright_knowledge.storage.unit_of_work import UnitOfWork


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
            key = f"{where['application']}/{where['environment']}/{deployment_id}"
            (revision,) = self._unit.log("deployment", [(key, "updated")])
            self._connection.execute(
                update(deployments)
                .where(deployments.c.deployment_id == deployment_id)
                .values(**changed, **self._unit.origin(revision))
            )
            return deployment_id, Recorded(revision=revision)
        row = kept(record.model_dump(), "the deployment")
        if row["rollback_target"] is None:
            row["rollback_target"] = self._last_good(record.application, record.environment)
        key = f"{record.application}/{record.environment}/{deployment_id}"
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

        Returns at most `limit` + 1, and how many there are.
        """
        c = deployments.c
        wanted = ((c.application, application), (c.environment, environment), (c.status, status))
        fits: list[ColumnElement[bool]] = [column == v for column, v in wanted if v is not None]
        total = self._connection.execute(
            select(func.count()).select_from(deployments).where(*fits)
        ).scalar_one()
        if before is not None:
            fits.append(c.first_revision < before)
        asked = select(deployments).where(*fits).order_by(c.first_revision.desc()).limit(limit + 1)
        rows = self._connection.execute(asked).mappings()
        return [
            (row["first_revision"], Deployment.model_validate(dict(row))) for row in rows
        ], total

    def places(self) -> list[tuple[str, str]]:
        """Every (application, environment) that was deployed to."""
        c = deployments.c
        asked = (
            select(c.application, c.environment).distinct().order_by(c.application, c.environment)
        )
        return [
            (application, environment)
            for application, environment in self._connection.execute(asked)
        ]

    def _id_of(self, record: DeploymentRecord) -> str:
        by = self._unit.by
        if by.run_id is None:
            return new_id("dp")
        same = [by.run_id, by.step, record.application, record.environment, record.version]
        return f"dp-{digest(same)[:16]}"

    def _row(self, deployment_id: str) -> dict[str, object] | None:
        asked = select(deployments).where(deployments.c.deployment_id == deployment_id)
        row = self._connection.execute(asked).mappings().first()
        return dict(row) if row else None

    def _last_good(self, application: str, environment: str) -> str | None:
        found, _ = self.find(
            application=application, environment=environment, status="succeeded", limit=1
        )
        return found[0][1].version if found else None
