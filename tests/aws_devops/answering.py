"""AWS sessions that answer for what the emulator lacks, in shapes of the service's own model."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.validate import ParamValidator
from tests.aws_devops.refusing import RefusingSessions

from opswright_core.aws import HERE, Aws, AwsTarget


class RealAws(Aws):
    """The emulator's session, taken for that of a real account: what runs there is waited for."""

    is_emulator = property(lambda _: False)


class AnsweringSessions(RefusingSessions):
    """Real clients; some operations are answered here, or their answers are amended."""

    def __init__(self, *, is_real: bool = False) -> None:
        super().__init__()
        self.is_real = is_real
        self.answers: dict[str, Callable[[], dict[str, Any]]] = {}
        """By operation the answer to it, which is not sent. An exception of it is raised."""
        self.amends: dict[str, Callable[[dict[str, Any]], None]] = {}
        """By operation what changes the emulator's answer."""

    def open(self, target: AwsTarget = HERE) -> Aws:
        """The session of a target."""
        first = target not in self._opened
        session = super().open(target)
        if first:
            session.session.events.register("before-call", self._answer)
            session.session.events.register("after-call", self._amend)
            if self.is_real:
                parts = {f.name: getattr(session, f.name) for f in fields(session)}
                session = self._opened[target] = RealAws(**parts)
        return session

    def _answer(self, model: Any, **_: Any) -> Any:
        if model.name not in self.answers:
            return None
        answer = self.answers[model.name]()
        _assert_fits(model, answer)
        self.sent.append(f"{model.service_model.service_name}:{model.name}")
        meta = {"ResponseMetadata": {"HTTPStatusCode": 200}}
        return AWSResponse("https://answered.invalid", 200, {}, None), answer | meta

    def _amend(self, model: Any, parsed: dict[str, Any], **_: Any) -> None:
        if (amend := self.amends.get(model.name)) and "Error" not in parsed:
            amend(parsed)
            _assert_fits(model, {k: v for k, v in parsed.items() if k != "ResponseMetadata"})


def _assert_fits(model: Any, answer: dict[str, Any]) -> None:
    report = ParamValidator().validate(answer, model.output_shape)
    assert not report.has_errors(), report.generate_report()
    assert set(answer) <= set(model.output_shape.members)
