"""The ``[experiment.NAME]`` section of equipoise.toml: what is proposed. Arming freezes it into an epoch."""

import hashlib
import json
from datetime import date
from fractions import Fraction
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from experiment.arms import Arm, Arms, Backend, Condition, Unit
from experiment.limits import GuardLimits


class GuardSettings(BaseModel):
    """``[experiment.NAME.guard]``: limits of the guard (STATISTICS.md 2). The defaults are the simulated ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: float = Field(default=0.05, gt=0, lt=0.5, allow_inf_nan=False)
    """The block rate above which the adapter is switched off, as a fraction."""
    min_n: int = Field(default=200, ge=1)
    excess: float = Field(default=3, gt=0, allow_inf_nan=False)
    detector: float = Field(default=10_000, gt=1, allow_inf_nan=False)
    confirm: float = Field(default=100, gt=1, allow_inf_nan=False)
    cooldown_minutes: float = Field(default=30, ge=0, allow_inf_nan=False)
    """How long after a precautionary rollback nobody can re-arm."""

    def limits(self) -> GuardLimits:
        """The same as exact numbers: 0.05 becomes 1/20, so that rules compare integers."""
        return GuardLimits(
            limit=Fraction(str(self.limit)),
            min_n=self.min_n,
            excess=Fraction(str(self.excess)),
            detector=self.detector,
            confirm=self.confirm,
            cooldown_s=self.cooldown_minutes * 60,
        )


class PlanSettings(BaseModel):
    """``[experiment.NAME.plan]``: fixed before arming, so that nobody stops when it looks good."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    primary: Literal["favourites", "regenerations", "fidelity"] = "favourites"
    end_by: date | None = None
    """The experiment ends with this day (UTC), or at ``end_n``, whichever comes first."""
    end_n: int | None = Field(default=None, ge=1)
    """Concurrent calls, both arms together."""
    smallest_effect: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """The smallest difference worth finding, in units of the metric (0.05 = 5 points)."""
    maturity_days: int = Field(default=7, ge=0, le=60)


class ArmSettings(BaseModel):
    """``[experiment.NAME.arms.ARM]``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    backend: Backend = "ollama"
    url: str = "http://127.0.0.1:11434"
    weight: int = Field(ge=0)
    parameters: dict[str, Any] | None = None
    """Left out: the experiment's common parameters, the same for every arm."""
    condition: Condition = Condition()


class ExperimentSettings(BaseModel):
    """``[experiment.NAME]``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    alias: str = "equipoise-stage2"
    """The model name that the host uses for Stage 2 alone; every other model passes through untouched."""
    unit: Unit = "run"
    salt: str = ""
    """Left out: the experiment's name."""
    base: str = "base"
    parameters: dict[str, Any] = Field(default_factory=dict)
    arms: dict[str, ArmSettings] = Field(min_length=1)
    guard: GuardSettings = GuardSettings()
    plan: PlanSettings = PlanSettings()

    @model_validator(mode="after")
    def _valid_arms(self) -> Self:
        self.proposed("check")
        return self

    def proposed(self, name: str) -> Arms:
        """The arms as an epoch would freeze them, in the order of the configuration.

        Args:
            name: the experiment's name.
        """
        return Arms(
            experiment=name,
            salt=self.salt or name,
            unit=self.unit,
            base=self.base,
            arms=tuple(
                Arm(
                    name=arm_name,
                    model=arm.model,
                    backend=arm.backend,
                    url=arm.url,
                    weight=arm.weight,
                    parameters=self.parameters if arm.parameters is None else arm.parameters,
                    condition=arm.condition,
                )
                for arm_name, arm in self.arms.items()
            ),
        )

    def digest(self) -> str:
        """SHA-256 (hex) of the whole section: the configuration hash in guard_log."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()
