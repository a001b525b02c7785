"""Bearer tokens with roles, made at first start in a 0600 file; compared in constant time."""

import hmac
import json
import os
import secrets
from pathlib import Path
from typing import Final, Literal, NamedTuple

Role = Literal["host", "researcher", "leader", "admin"]
"""host: sends calls and outcomes, asks for assignments · leader (workshop): sees the live page, may pause, roll back,
put a class on 'base only today', opt a device out · researcher: reads everything, arms and resumes · admin: all."""

ROLES: Final[tuple[Role, ...]] = ("host", "researcher", "leader", "admin")


class Principal(NamedTuple):
    """Who is asking: the token's id (kept in guard_log) and its role."""

    token_id: str
    role: Role


DEVELOPER: Final = Principal("development", "admin")
"""Everybody, in the loopback development mode."""


class Tokens:
    """The tokens of one installation.

    Args:
        path: ``{data}/tokens.json``; made with one token a role if missing.

    Raises:
        ValueError: the file can be read by others, or is not what this class writes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            self._write({role: {"id": _new_id(role), "token": secrets.token_urlsafe(32)} for role in ROLES})
        if path.stat().st_mode & 0o077:
            raise ValueError(f"{path} can be read by other users: run 'chmod 600 {path}' and rotate its tokens")
        try:
            content = json.loads(path.read_text())
            self._tokens: dict[Role, tuple[str, str]] = {
                role: (content[role]["id"], content[role]["token"]) for role in ROLES
            }
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(
                f"{path} is damaged ({error}): delete it, and new tokens are made at the next start"
            ) from error

    def _write(self, content: dict[Role, dict[str, str]]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(content, file, indent=2)
            file.write("\n")

    def token(self, role: Role) -> str:
        """The role's token, for processes of the same installation."""
        return self._tokens[role][1]

    def check(self, presented: str) -> Principal | None:
        """Whose token it is; None if nobody's. Every stored token is compared, so timing tells nothing."""
        found: Principal | None = None
        for role, (token_id, token) in self._tokens.items():
            if hmac.compare_digest(presented.encode(), token.encode()):
                found = Principal(token_id, role)
        return found

    def rotate(self, role: Role) -> str:
        """Replace one role's token; the old one stops working when the service starts again."""
        self._tokens[role] = (_new_id(role), secrets.token_urlsafe(32))
        self._write({name: {"id": known[0], "token": known[1]} for name, known in self._tokens.items()})
        return self._tokens[role][1]


def _new_id(role: Role) -> str:
    return f"{role}-{secrets.token_hex(3)}"
