"""What a function is before a release, and the way back to it from the version published then."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from opswright_aws_devops.functions.code import MOST_ZIPPED_BYTES
from opswright_aws_devops.lookup import if_exists, must_exist
from opswright_core.aws import Aws, AwsTarget, is_loopback
from opswright_core.canonical import digest
from opswright_core.errors import OpswrightError
from opswright_core.runtime import aws
from opswright_core.undo import UndoStep
from opswright_core.verdicts import Check, Unread, attempt, check

RETURN_FUNCTION = "lambda-function"
"""The kind of undo step that gives a function the code and settings of a version back."""

UPDATED_SECONDS = 600.0
FETCH_SECONDS = 120.0
MEMORY, TIMEOUT, RUNTIME, HANDLER = "memory_mib", "timeout_seconds", "runtime", "handler"
WORDS = {MEMORY: "MemorySize", TIMEOUT: "Timeout", RUNTIME: "Runtime", HANDLER: "Handler"}
"""Lambda's words for the settings."""


@dataclass(frozen=True)
class Live:
    """What was read of a function as it is now, unpublished."""

    name: str
    code_sha256: str
    settings: dict[str, Any]
    """By our words."""
    environment: dict[str, str]
    is_image: bool
    image: str
    """The image that it runs, named by its digest."""
    code_bytes: int
    architecture: str
    tags: dict[str, str] = field(compare=False)

    @property
    def fingerprint(self) -> str:
        """The same for the same code and settings; tells no value of a variable."""
        return digest([self.code_sha256, self.settings, self.environment])

    @property
    def can_return(self) -> bool:
        """Whether its code can be given back: Lambda takes packages so large in a request."""
        return self.is_image or self.code_bytes <= MOST_ZIPPED_BYTES


def load_live(a: Aws, name: str) -> Live:
    """Read a function. Raises NotFoundError."""
    client = a.client("lambda")
    found = must_exist(f"Function {name}", lambda: client.get_function(FunctionName=name))
    settings, code = found["Configuration"], found.get("Code", {})
    image = code.get("ImageUri", "")
    return Live(
        name=settings["FunctionName"],
        code_sha256=settings["CodeSha256"],
        settings={word: settings.get(theirs) for word, theirs in WORDS.items()},
        environment=settings.get("Environment", {}).get("Variables", {}),
        is_image=settings.get("PackageType", "Zip") == "Image",
        image=image if "@" in image else code.get("ResolvedImageUri", image),
        code_bytes=settings.get("CodeSize", 0),
        architecture=(settings.get("Architectures") or ["x86_64"])[0],
        tags=found.get("Tags", {}),
    )


def is_updated(a: Aws, name: str) -> bool:
    """Whether Lambda has taken an update over. Raises OpswrightError when it could not."""
    found = a.client("lambda").get_function_configuration(FunctionName=name)
    if found.get("LastUpdateStatus") == "Failed":
        raise OpswrightError(
            f"Lambda could not update {name}: "
            f"{found.get('LastUpdateStatusReason', 'no reason given')} undo_change returns it."
        )
    return bool(found.get("LastUpdateStatus", "Successful") == "Successful")


def configuration(settings: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """`UpdateFunctionConfiguration` without the name; a setting that is none is left out."""
    given = {theirs: settings.get(word) for word, theirs in WORDS.items()}
    return {
        **{word: value for word, value in given.items() if value},
        "Environment": {"Variables": dict(environment)},
    }


def fetch_package(location: str, *, on_this_machine: bool) -> bytes:
    """The package that Lambda keeps of a version, from the address that it gives for ten minutes.

    Raises OpswrightError behind an emulator that names an address of the real cloud.
    """
    import urllib3

    host = urlsplit(location).hostname or ""
    if on_this_machine and not is_loopback(location):
        raise OpswrightError(
            f"This emulator keeps no package of a function (it names {host or 'no address'}): its "
            "old code cannot be given back."
        )
    with urllib3.PoolManager() as pool:
        answer = pool.request(
            "GET", location, timeout=FETCH_SECONDS, preload_content=False, redirect=False
        )
        package: bytes = answer.read(MOST_ZIPPED_BYTES + 1)
    if answer.status != 200:
        raise OpswrightError(f"Lambda's store of packages answered {answer.status}; undo again.")
    if len(package) > MOST_ZIPPED_BYTES:
        raise OpswrightError(
            f"The old package is larger than the {MOST_ZIPPED_BYTES:,} bytes that Lambda takes: "
            "put it in S3 and call update_function with it."
        )
    return package


def return_function(before: Live, version: str, target: AwsTarget, region: str) -> UndoStep:
    """The inverse of a release: what the function was, kept by Lambda in a published version.

    Variables are not in it: they may be secrets, which a journal does not keep.
    """
    return UndoStep(
        kind=RETURN_FUNCTION,
        description=f"give function {before.name} the code and settings of version {version} back",
        args={
            "function": before.name,
            "version": version,
            "image": before.image if before.is_image else "",
            "architecture": before.architecture,
            "code_sha256": before.code_sha256,
            "fingerprint": before.fingerprint,
            "target": target.model_copy(update={"region": region}).model_dump(exclude_none=True),
        },
    )


class FunctionUndo:
    """Gives a function the code and settings of a published version back."""

    def replay(self, step: UndoStep) -> None:
        """Put back what differs; a function that is gone is no error."""
        args, a = step.args, aws(AwsTarget(**step.args["target"]))
        client, name = a.client("lambda"), args["function"]
        if if_exists(lambda: client.get_function(FunctionName=name)) is None:
            return
        now = load_live(a, name)
        if now.fingerprint == args["fingerprint"]:
            return
        which = {"FunctionName": name, "Qualifier": args["version"]}
        kept = must_exist(
            f"Version {args['version']} of function {name}", lambda: client.get_function(**which)
        )
        if now.code_sha256 != args["code_sha256"]:
            where = kept.get("Code", {}).get("Location", "")
            code: dict[str, Any] = (
                {"ImageUri": args["image"]}
                if args["image"]
                else {"ZipFile": fetch_package(where, on_this_machine=a.is_emulator)}
            )
            client.update_function_code(
                FunctionName=name, **code, Architectures=[args["architecture"]]
            )
            _await_update(a, name)
        settings = {word: kept["Configuration"].get(theirs) for word, theirs in WORDS.items()}
        variables = kept["Configuration"].get("Environment", {}).get("Variables", {})
        client.update_function_configuration(
            FunctionName=name, **configuration(settings, variables)
        )
        _await_update(a, name)

    def verify(self, step: UndoStep) -> Check:
        """PASS when code and settings are as before, or the function is gone."""
        args = step.args

        def read() -> Live | None:
            a = aws(AwsTarget(**args["target"]))
            client, name = a.client("lambda"), args["function"]
            there = if_exists(lambda: client.get_function(FunctionName=name)) is not None
            return load_live(a, name) if there else None

        found = attempt(read)
        if isinstance(found, Unread):
            return check(step.description, found)
        so = found is None or found.fingerprint == args["fingerprint"]
        evidence = "it is gone" if found is None else f"code {found.code_sha256}"
        return check(step.description, so, evidence)


def _await_update(a: Aws, name: str) -> None:
    deadline, pause = time.monotonic() + UPDATED_SECONDS, 0.1
    while not is_updated(a, name):
        if time.monotonic() > deadline:
            raise OpswrightError(f"Lambda did not update {name} in {UPDATED_SECONDS:.0f} s.")
        time.sleep(pause)
        pause = min(pause * 2, 5.0)
