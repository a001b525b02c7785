"""What can go wrong between us and a model, as small named types."""

import re
from typing import ClassVar, Final

_CREDENTIALS: Final = re.compile(r"//[^/@]*@")
"""A url may hold a name and password; no message does."""


class BackendError(Exception):
    """A model gave no usable answer.

    Args:
        url: the backend's base address.
        model: the model that was asked for.
        said: what the backend itself said, '' if nothing. It may quote a prompt, so it goes to the asker only,
            never into a log (see ``summary``).
    """

    http_status: ClassVar[int] = 502
    """The status a gateway answers with when nothing else is left to try."""

    def __init__(self, url: str, model: str, said: str = "") -> None:
        self.url = _CREDENTIALS.sub("//", url)
        self.model = model
        self.said = said[:500]
        super().__init__(str(self))

    @property
    def summary(self) -> str:
        """What happened and what to do, without a word of the backend's: fit for logs and storage."""
        raise NotImplementedError

    @property
    def kind(self) -> str:
        """The type's name, for metrics."""
        return type(self).__name__

    def __str__(self) -> str:
        return f"{self.summary} It said: {self.said}" if self.said else self.summary


class ModelMissing(BackendError):
    """The backend runs and does not know the model."""

    @property
    def summary(self) -> str:
        """What happened and what to do."""
        return f"the backend at {self.url} has no model {self.model!r}: install it there or correct the arm's model."


class BackendDown(BackendError):
    """Nothing accepts connections, or the connection broke before an answer came."""

    @property
    def summary(self) -> str:
        """What happened and what to do."""
        return f"the backend at {self.url} does not answer: start it or correct the arm's url."


class BackendTimeout(BackendError):
    """No answer in time."""

    http_status = 504

    def __init__(self, url: str, model: str, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(url, model)

    @property
    def summary(self) -> str:
        """What happened and what to do."""
        return (
            f"the backend at {self.url} did not answer for {self.model!r} within {self.seconds:g} s: "
            "is it overloaded? The limits are in the [gateway] section."
        )


class BadAnswer(BackendError):
    """An answer came that is not of the protocol."""

    def __init__(self, url: str, model: str, why: str) -> None:
        self.why = why
        super().__init__(url, model)

    @property
    def summary(self) -> str:
        """What happened and what to do."""
        return (
            f"the backend at {self.url} gave no usable answer for {self.model!r} ({self.why}): "
            "is the arm's protocol right?"
        )


class BackendStatus(BackendError):
    """Another status than 200."""

    def __init__(self, url: str, model: str, status: int, said: str = "") -> None:
        self.status = status
        super().__init__(url, model, said)

    @property
    def summary(self) -> str:
        """What happened and what to do."""
        return f"the backend at {self.url} answered {self.status} for {self.model!r}."


class Untranslatable(BackendError):
    """The request holds something that the arm's protocol can't carry, such as images or tools."""

    http_status = 400

    def __init__(self, url: str, model: str, protocol: str, what: str) -> None:
        self.protocol = protocol
        self.what = what
        super().__init__(url, model)

    @property
    def summary(self) -> str:
        """What happened and what to do."""
        return (
            f"the request has {self.what}, which can't be carried to {self.model!r} over the {self.protocol} protocol: "
            "leave it out or speak that protocol."
        )
