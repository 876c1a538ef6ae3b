"""Templates: where they are taken from, what is in them, and where an earlier one is kept."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opswright_core.aws import Aws
from opswright_core.errors import BadInputError, NotFoundError
from opswright_core.local_paths import local_path

MOST_BYTES = 51_200
"""What CloudFormation takes in a request; larger ones must lie in S3 (its quota page)."""


@dataclass(frozen=True)
class Template:
    """A template as it was written, and the same as data (see `parsed`)."""

    text: str
    content: dict[str, Any]


def read_template(given: str) -> Template:
    """The template that was given as text, or as the path of a file. Raises BadInputError."""
    text = template_text(given)
    return Template(text, parsed(text))


def template_text(given: str) -> str:
    """The text of a template that was given as text, or as the path of a file.

    Raises BadInputError for what is neither, and for one that is too large.
    """
    text = given
    if "\n" not in given.strip() and not given.lstrip().startswith("{"):
        path = local_path(given)
        if not path.is_file():
            raise BadInputError(
                f"template: {given[:80]!r} is no file here and no template. Give the path of a "
                "file on the machine of this server, or the YAML or JSON itself."
            )
        text = _read(path)
    if len(text.encode()) > MOST_BYTES:
        raise BadInputError(
            f"template: {len(text.encode())} bytes; CloudFormation takes {MOST_BYTES} in a call. "
            "Split it into nested stacks."
        )
    return text


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(MOST_BYTES + 1)
    except (OSError, UnicodeDecodeError) as exc:
        raise BadInputError(f"template: {path} cannot be read as text: {exc}.") from exc


def parsed(text: str) -> dict[str, Any]:
    """A template as data; an intrinsic function in short form is `{"!Ref": …}`.

    Raises BadInputError for what is no template.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """Knows CloudFormation's tags."""

    def function(loader: Any, name: str, node: Any) -> dict[str, Any]:
        if isinstance(node, yaml.ScalarNode):
            return {f"!{name}": loader.construct_scalar(node)}
        if isinstance(node, yaml.SequenceNode):
            return {f"!{name}": loader.construct_sequence(node, deep=True)}
        return {f"!{name}": loader.construct_mapping(node, deep=True)}

    Loader.add_multi_constructor("!", function)
    try:
        template = yaml.load(text, Loader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, RecursionError) as exc:
        raise BadInputError(
            f"template: it is no YAML or JSON: {' '.join(str(exc).split())}."
        ) from exc
    if not isinstance(template, dict) or not isinstance(template.get("Resources"), dict):
        raise BadInputError("template: it has no Resources; a template needs at least one.")
    return template


def original_template(a: Aws, stack: str) -> str:
    """A stack's template as it was given, before any transform."""
    reading = a.client("cloudformation").get_template
    text = reading(StackName=stack, TemplateStage="Original")["TemplateBody"]
    return text if isinstance(text, str) else json.dumps(text)  # botocore reads JSON templates


def is_template_of(a: Aws, stack: str, content: dict[str, Any]) -> bool:
    """Whether a stack has a template; one that was only looked at, and is empty, has none."""
    text = original_template(a, stack)
    try:
        return parsed(text) == content
    except BadInputError:
        return False


def keep(text: str, state_dir: Path) -> str:
    """Keep a template as it is, for the undo of what replaces it; returns its SHA-256.

    It is no journal entry, since those have secrets masked, and a masked template restores nothing.
    """
    name = hashlib.sha256(text.encode()).hexdigest()
    folder = state_dir / "templates"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    written = folder / f"{name}.{os.getpid()}.tmp"
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    written.replace(folder / name)
    return name


def path_of(name: str, state_dir: Path) -> Path:
    """Where a template lies that was kept."""
    return state_dir / "templates" / name


def kept(name: str, state_dir: Path) -> str:
    """The template that was kept. Raises NotFoundError when it is gone or was changed."""
    path = path_of(name, state_dir)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFoundError(
            f"The template before is no longer at {path}; deploy it again by hand."
        ) from None
    if hashlib.sha256(text.encode()).hexdigest() != name:
        raise NotFoundError(
            f"The template before, at {path}, was changed since; deploy it by hand."
        )
    return text
