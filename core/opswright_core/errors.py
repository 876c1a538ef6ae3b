"""The one tree of errors whose text reaches a caller.

```
OpswrightError                something the caller can act on
├── BadInputError             an argument is wrong: says which, what was sent, what is accepted
├── NotFoundError             what was named does not exist
├── ConflictError             the state is not the one the caller acted on
├── ApprovalError             an approval is missing, spent, expired or for something else
├── ModelError                the language model's provider refused or could not be reached
└── CloudError                a cloud call failed: operation, code, next move
    ├── AccessDeniedError     names the permission to grant
    ├── CredentialsError      none, expired or wrong credentials
    ├── ThrottledError        the cloud asked to slow down, and retries ran out
    ├── DeadlineError         the time for reading was over before the call was sent
    ├── EndpointError         no answer that tells the outcome: unreachable, cut off, or a 5xx
    └── EmulatorGapError      this backend does not implement the operation
```

A server shows their text to its callers (`guard`). Any other exception is a bug: it is logged, and
reaches the caller as a masked error.
"""


class OpswrightError(Exception):
    """Something a caller can act on: what was asked, what went wrong, what to do next."""


class BadInputError(OpswrightError):
    """An argument cannot be used."""


class NotFoundError(OpswrightError):
    """What was named does not exist."""


class ConflictError(OpswrightError):
    """The state is not the one the caller acted on."""


class ApprovalError(OpswrightError):
    """An approval is missing, spent, expired or belongs to another change."""


class ModelError(OpswrightError):
    """The language model's provider refused or could not be reached."""


class CloudError(OpswrightError):
    """A cloud call failed.

    `operation` is the provider's operation, `code` its error code, `permission` the IAM action that
    would have allowed the call, where that is what was missing.
    """

    def __init__(
        self, message: str, *, operation: str = "", code: str = "", permission: str | None = None
    ) -> None:
        super().__init__(message)
        self.operation = operation
        self.code = code
        self.permission = permission


class AccessDeniedError(CloudError):
    """The credentials lack a permission; the message names it."""


class CredentialsError(CloudError):
    """There are no credentials, or they are expired or wrong."""


class ThrottledError(CloudError):
    """The cloud asked to slow down and the retries ran out."""


class DeadlineError(CloudError):
    """The time for reading was over before the call was sent."""


class EndpointError(CloudError):
    """No answer that tells the outcome: unreachable, cut off, or a failure inside the cloud."""


class EmulatorGapError(CloudError):
    """The backend (an emulator) does not implement the operation: no success, no failure either."""
