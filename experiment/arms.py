"""Arms of an experiment and the epoch that freezes them."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Unit = Literal["run", "device"]
"""What is randomised: the run (default; 2.2 times smaller detectable effect) or the device-day."""

Backend = Literal["ollama", "openai", "gpu_service"]
"""The wire protocol an arm's model is served over."""

_NAME = re.compile(r"^[a-z0-9][a-z0-9_-]{0,62}$")


class Condition(BaseModel):
    """Where an arm may serve: empty lists mean everywhere; every non-empty list must contain the call's value."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: tuple[str, ...] = ()
    language: tuple[str, ...] = ()
    safety_level: tuple[str, ...] = ()

    def holds(self, attributes: Mapping[str, str]) -> bool:
        """True if the call's attributes satisfy every list that is not empty."""
        wanted = {"config": self.config, "language": self.language, "safety_level": self.safety_level}
        return all(not values or attributes.get(key, "") in values for key, values in wanted.items())


class Arm(BaseModel):
    """One answer to 'which model?': its name, where it is served, and its integer share of the traffic."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    model: str = Field(min_length=1, max_length=200)
    backend: Backend = "ollama"
    url: str = "http://127.0.0.1:11434"
    weight: int = Field(default=0, ge=0, le=1_000_000)
    parameters: dict[str, Any] = Field(default_factory=dict)
    condition: Condition = Condition()

    @field_validator("name")
    @classmethod
    def _name_is_plain(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(f"arm name {name!r}: use 1 to 63 of a-z, 0-9, '-', '_', starting with a letter or digit")
        return name

    @field_validator("url")
    @classmethod
    def _url_is_http(cls, url: str) -> str:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"url {url!r} must start with http:// or https://")
        return url.rstrip("/")


class Arms(BaseModel):
    """The frozen part of an epoch: arms in the order of the configuration, salt, unit and base arm.

    An epoch opens when a person arms, promotes or changes a weight; estimates and guard are by epoch.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    experiment: str
    salt: str = Field(min_length=1)
    unit: Unit = "run"
    base: str = "base"
    arms: tuple[Arm, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [arm.name for arm in self.arms]
        if len(set(names)) != len(names):
            raise ValueError(f"arm names must be distinct, got {names}")
        if self.base not in names:
            raise ValueError(f"base arm {self.base!r} is not among the arms {names}")
        if sum(arm.weight for arm in self.arms) <= 0:
            raise ValueError("at least one arm needs a weight above 0")
        return self

    def arm(self, name: str) -> Arm:
        """The arm of that name.

        Raises:
            KeyError: no such arm.
        """
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise KeyError(name)

    @property
    def adapters(self) -> tuple[Arm, ...]:
        """Every arm but the base: what the guard watches."""
        return tuple(arm for arm in self.arms if arm.name != self.base)

    def digest(self) -> str:
        """SHA-256 (hex) of the canonical JSON: the configuration hash of guard_log."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


def same_model(asked: str, answered: str) -> bool:
    """Whether a backend's model name means the model that was asked for (Ollama appends ':latest')."""
    return asked.removesuffix(":latest") == answered.removesuffix(":latest")
