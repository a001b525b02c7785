"""What can go wrong between a client and the owner service, each with a sentence that says what to do."""


class ServiceError(Exception):
    """Anything that kept the service from doing what was asked; ``str()`` is one sentence for a person."""


class ServiceDown(ServiceError):
    """Nobody answers at the address, or what answers is broken or overloaded; trying again later may help."""


class Refused(ServiceError):
    """The service understood and said no; trying the same again will not help.

    Args:
        status: HTTP status, 400 … 499.
        detail: the service's own words.
        doing: what was asked for, for the message.
    """

    def __init__(self, status: int, detail: str, doing: str) -> None:
        super().__init__(f"{doing}: refused ({status}): {detail}")
        self.status = status
        self.detail = detail


class Unauthorised(Refused):
    """The token is missing, unknown, or its role may not do this (401 or 403)."""

    def __init__(self, status: int, detail: str, doing: str) -> None:
        super().__init__(status, detail, doing)
        hint = (
            "give a token that the service knows (tokens.json in its data folder)"
            if status == 401
            else "ask for a token of a role that may do this"
        )
        self.args = (f"{doing}: {detail or 'the service did not accept the token'} ({status}); {hint}",)


class Held(ServiceError):
    """The warehouse file is open in another process, and that process's API could not be used instead."""
