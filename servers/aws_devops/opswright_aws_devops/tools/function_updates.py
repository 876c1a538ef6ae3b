"""Releases to a function that is there: code and settings, with a version before and after."""

import base64
import hashlib
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.differences import Planned, differences, literal
from opswright_aws_devops.environments import Environment, refuse_secrets
from opswright_aws_devops.functions.code import FunctionCode, find_code
from opswright_aws_devops.functions.parts import FUNCTION, check_runtime
from opswright_aws_devops.functions.releases import (
    HANDLER,
    MEMORY,
    RUNTIME,
    TIMEOUT,
    UPDATED_SECONDS,
    WORDS,
    Live,
    configuration,
    is_updated,
    load_live,
    return_function,
)
from opswright_aws_devops.lookup import first, if_exists
from opswright_aws_devops.steps import send
from opswright_core.aws import HERE, Aws, AwsTarget, Target
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import BadInputError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import UndoStep, aws_undo
from opswright_core.verdicts import Check, check

ALIAS = "lambda:alias"


class FunctionRelease(BaseModel):
    """A release: its version, the one published of what was before, and the alias moved to it."""

    function_name: str
    version: str
    was_version: str
    code: str = Field(description="What the code was made from; empty: it stayed")
    code_sha256: str
    alias: str | None


class Release:
    """What is asked for: code that was found, settings, variables, the alias."""

    def __init__(
        self,
        found: FunctionCode | None,
        settings: dict[str, Any],
        environment: dict[str, str],
        alias: str | None,
    ) -> None:
        self.found, self.environment, self.alias = found, environment, alias
        self.settings = settings

    def wanted(self) -> dict[str, Any]:
        """Settings and variables by the words of a plan."""
        variables = {f"variable {name}": value for name, value in self.environment.items()}
        return {**self.settings, **variables}

    def new_code(self, now: Live) -> bool:
        """Whether there is code to send; of S3 objects only Lambda tells, so they always are."""
        if self.found is None:
            return False
        code = self.found.parameters()
        if package := code.get("ZipFile"):
            own = base64.b64encode(hashlib.sha256(package).digest()).decode()
            return own != now.code_sha256
        return bool(code.get("ImageUri") != now.image)


@write_tool(toolset="updates")
def update_function(
    function: Annotated[str, Field(description="Lambda function", pattern=r"^[\w-]{1,64}$")],
    code: Annotated[
        str | None,
        Field(description="s3://bucket/key, local ZIP or folder, or ECR image", max_length=1024),
    ] = None,
    runtime: Annotated[str | None, Field(description="Like python3.13")] = None,
    handler: Annotated[str | None, Field(description="Like app.handler")] = None,
    memory_mib: Annotated[int | None, Field(description="Memory", ge=128, le=10240)] = None,
    timeout_seconds: Annotated[int | None, Field(description="Longest run", ge=1, le=900)] = None,
    environment: Environment = {},  # noqa: B006 (never changed)
    alias: Annotated[
        str | None,
        Field(description="Moved to the new version; made if missing", pattern=r"^[A-Za-z][\w-]*$"),
    ] = None,
    target: Target = HERE,
) -> Work[FunctionRelease]:
    """Release code or settings to a Lambda function; versions are published before and after.

    What is not given stays.
    """
    settings = {
        MEMORY: memory_mib, TIMEOUT: timeout_seconds, RUNTIME: runtime, HANDLER: handler,
    }  # fmt: skip
    if code is None and not environment and all(v is None for v in settings.values()):
        raise BadInputError(
            "Nothing to change: give code, runtime, handler, memory_mib, timeout_seconds or "
            "environment."
        )
    refuse_secrets(environment, "have the code read it from there")
    a = aws(target)
    if runtime:
        check_runtime(a, runtime)
    release = Release(find_code(a, code) if code else None, settings, environment, alias)
    planned = Planned(f"Function {function}", lambda: load_live(a, function))
    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, planned.read(), release),
        apply=lambda rec: _apply(a, rec, planned.confirm(), release, target),
        verify=lambda made: judge_release(
            made, load_live(a, function), release, _load_alias(a, function, alias)
        ),
        outputs=FunctionRelease,
        existing=lambda: _existing(a, load_live(a, function), release),
    )


def _settings(now: Live) -> dict[str, Any]:
    variables = {f"variable {name}": value for name, value in now.environment.items()}
    return {**now.settings, **variables}


def _load_alias(a: Aws, function: str, alias: str | None) -> dict[str, Any] | None:
    client = a.client("lambda")
    if alias is None:
        return None
    return if_exists(lambda: client.get_alias(FunctionName=function, Name=alias))


def _plan(a: Aws, now: Live, release: Release) -> ChangePlan:
    _require_fit(now, release)
    found = differences(_settings(now), release.wanted())
    there = _load_alias(a, now.name, release.alias)
    if there and (there.get("RoutingConfig") or {}).get("AdditionalVersionWeights"):
        raise BadInputError(
            f"Alias {release.alias} divides its calls between versions; end that release first."
        )
    changes = [str(one) for one in found.values()]
    if new_code := release.new_code(now):
        changes.insert(0, f"code {release.found.identity[:80] if release.found else ''}")
    actions, warnings = [], list(release.found.warnings if release.found else [])
    if changes:
        actions.append(
            Action(verb="modify", type=FUNCTION, name=now.name, detail="; ".join(changes))
        )
        warnings += _warnings(a, now, release, new_code)
    if release.alias and (changes or there is None):
        verb = "modify" if there else "create"
        was = f"version {there['FunctionVersion']} → " if there else ""
        detail = f"{was}the new version"
        name = f"{now.name}:{release.alias}"
        actions.append(Action(verb=verb, type=ALIAS, name=name, detail=detail))
    return ChangePlan(
        summary=f"Update function {now.name}: {'; '.join(changes) or 'as it is'}",
        actions=actions,
        warnings=warnings,
        reversible=now.can_return or not new_code,
        observed={
            "function": now.fingerprint,
            "code": release.found.identity if release.found else None,
            "alias": there and there["FunctionVersion"],
        },
    )


def _require_fit(now: Live, release: Release) -> None:
    """Raise BadInputError for what this function cannot be given."""
    if release.found and release.found.is_image != now.is_image:
        kinds = ("an image", "a ZIP file") if now.is_image else ("a ZIP file", "an image")
        raise BadInputError(
            f"{now.name} is made from {kinds[0]} and cannot be changed to {kinds[1]}; make another "
            "function (create_function)."
        )
    if now.is_image and (release.settings[RUNTIME] or release.settings[HANDLER]):
        raise BadInputError("An image has its own runtime and handler; leave them out.")


def _warnings(a: Aws, now: Live, release: Release, new_code: bool) -> list[str]:
    by_alias = f", while what calls {now.name}:{release.alias} waits for the new version"
    said = [
        "What calls the function without a version or alias runs the change at once, in parts if "
        f"code and settings both change{by_alias if release.alias else ''}."
    ]
    if new_code and not now.can_return:
        said.append(
            f"The code that is there has {now.code_bytes:,} bytes: an undo cannot give it back, "
            "though its version stays."
        )
    if new_code and a.is_emulator and not now.is_image:
        said.append("An emulator may keep no package: an undo then cannot give the code back.")
    return said


def _apply(
    a: Aws, rec: Recorder, now: Live, release: Release, target: AwsTarget
) -> FunctionRelease:
    client, name = a.client("lambda"), now.name
    which = {"FunctionName": name}

    def updated() -> None:
        rec.wait(
            f"function {name} updated", lambda: is_updated(a, name),
            timeout_seconds=UPDATED_SECONDS,
        )  # fmt: skip

    before = _publish(
        a, rec, name, "before", target, lambda v: return_function(now, v, target, a.region)
    )
    if release.found and release.new_code(now):
        code = release.found.parameters()
        rec.step(
            f"code of {name}",
            lambda: send(
                client.update_function_code, **which, **code, Architectures=[now.architecture]
            ),
            resource=ResourceRef(type=FUNCTION, id=name, name=name, action="modified"),
        )
        updated()
    if differences(_settings(now), release.wanted()):
        settings = {word: release.settings[word] for word in WORDS}
        variables = {**now.environment, **release.environment}
        rec.step(
            f"settings of {name}",
            lambda: send(
                client.update_function_configuration,
                **which,
                **configuration(settings, variables),
            ),
            resource=ResourceRef(type=FUNCTION, id=name, name=name, action="modified"),
        )
        updated()
    version = _publish(a, rec, name, "after", target)
    if release.alias:
        _move_alias(a, rec, name, release.alias, version, target)
    if a.is_emulator:
        rec.gap("The emulator does not run the function: whether its code works is not known.")
    return FunctionRelease(
        function_name=name,
        version=version,
        was_version=before,
        code=release.found.identity if release.found else "",
        code_sha256=load_live(a, name).code_sha256,
        alias=release.alias,
    )


def _publish(
    a: Aws,
    rec: Recorder,
    name: str,
    when: str,
    target: AwsTarget,
    inverse: Any = None,
) -> str:
    """Publish what the function is; Lambda gives the last version again when nothing changed.

    Only a version that this change made is deleted by its undo.
    """
    client, mark = a.client("lambda"), f"{when} {rec.change_id}"

    def publish() -> dict[str, Any]:
        made = client.publish_version(FunctionName=name, Description=mark)
        return {"version": made["Version"], "made": made.get("Description") == mark}

    def find() -> dict[str, Any] | None:
        """The version that a call which was cut off has made; Lambda makes none twice."""
        there = a.pages("lambda", "list_versions_by_function", "Versions", FunctionName=name)
        made = first([version for version in there if version.get("Description") == mark])
        return {"version": made["Version"], "made": True} if made else None

    def undo(result: dict[str, Any]) -> list[UndoStep]:
        version = result["version"]
        which = {"FunctionName": name, "Qualifier": version}
        remove = aws_undo(
            f"delete version {version} of function {name}", "lambda", "delete_function", which,
            target=target, region=a.region, gone=("get_function", which, "Configuration"),
        )  # fmt: skip
        return [
            *([inverse(version)] if inverse else []),
            *([remove] if result["made"] else []),
        ]

    result: dict[str, Any] = rec.step(
        f"version of {name} {when} the release", publish, undo=undo, find=find
    )
    return str(result["version"])


def _move_alias(
    a: Aws, rec: Recorder, name: str, alias: str, version: str, target: AwsTarget
) -> None:
    client, which = a.client("lambda"), {"FunctionName": name, "Name": alias}
    there = _load_alias(a, name, alias)
    if there and there["FunctionVersion"] == version:
        return
    operation = client.update_alias if there else client.create_alias
    old = there["FunctionVersion"] if there else ""
    back = (
        aws_undo(
            f"return alias {alias} of {name} to version {old}", "lambda", "update_alias",
            {**which, "FunctionVersion": old}, target=target, region=a.region,
            gone=("get_alias", which, f"FunctionVersion!={literal(old)}"),
        )
        if there
        else aws_undo(
            f"delete alias {alias} of {name}", "lambda", "delete_alias", which,
            target=target, region=a.region, gone=("get_alias", which, "AliasArn"),
        )
    )  # fmt: skip
    rec.step(
        f"alias {alias} to version {version}",
        lambda: send(operation, **which, FunctionVersion=version),
        undo=[back],
        resource=ResourceRef(
            type=ALIAS, id=f"{name}:{alias}", name=alias,
            action="modified" if there else "created",
        ),
    )  # fmt: skip


def _existing(a: Aws, now: Live, release: Release) -> FunctionRelease:
    """What is there where nothing has to be changed; its version is the one that the alias has."""
    there = _load_alias(a, now.name, release.alias)
    version = there["FunctionVersion"] if there else "$LATEST"
    return FunctionRelease(
        function_name=now.name,
        version=version,
        was_version=version,
        code=release.found.identity if release.found else "",
        code_sha256=now.code_sha256,
        alias=release.alias,
    )


def judge_release(
    made: FunctionRelease, now: Live, release: Release, alias: dict[str, Any] | None
) -> list[Check]:
    """Whether the function is what was released, and the alias leads to it."""
    found = differences(_settings(now), release.wanted())
    facts = [
        (f"Its {word} is as asked", word not in found, str(found.get(word, "")))
        for word, value in release.wanted().items()
        if value is not None
    ]
    if release.found:
        own = made.code == release.found.identity
        facts.append(("It was released from this code", own, made.code))
        same = now.code_sha256 == made.code_sha256
        facts.append(("Its code is the one released", same, now.code_sha256))
    if release.alias:
        at = (alias or {}).get("FunctionVersion", "missing")
        facts.append((f"Alias {release.alias} leads to it", at == made.version, at))
    return [check(name, ok, evidence, made.function_name) for name, ok, evidence in facts]
