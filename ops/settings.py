"""All settings: every room's section composed; from ``equipoise.toml``, but ``EQUIPOISE_…`` in the environment wins."""

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from collector.config import ServiceConfig, ServiceSettings
from dashboard.config import DashboardSettings
from experiment.config import ExperimentSettings
from gateway.config import GatewaySettings, is_loopback
from ops.alerts import AlertSettings
from ops.complaints import complaints
from ops.errors import UserError
from ops.known import PREFIX, unknown_variables
from ops.privacy import PrivacySettings, is_local
from warehouse.config import WarehouseSettings

DEFAULT_FILE: Final = Path("equipoise.toml")
HOW_TO_CONFIGURE: Final = "copy equipoise.example.toml to equipoise.toml and adapt it, or give --config FILE"
NO_EXPERIMENT: Final = f"no experiment is configured: {HOW_TO_CONFIGURE}"


class Settings(BaseSettings):
    """The whole of ``equipoise.toml``. Build it with :func:`load_settings`."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=PREFIX, env_nested_delimiter="__", env_ignore_empty=True
    )

    service: ServiceSettings = ServiceSettings()
    warehouse: WarehouseSettings = WarehouseSettings()
    gateway: GatewaySettings = GatewaySettings()
    dashboard: DashboardSettings = DashboardSettings()
    experiment: dict[str, ExperimentSettings] = Field(default_factory=dict)
    privacy: PrivacySettings = PrivacySettings()
    alerts: AlertSettings = AlertSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment before the file; no .env file and no secrets folder, so that there are two places to look."""
        return env_settings, init_settings

    @model_validator(mode="after")
    def _sections_fit_together(self) -> Self:
        problems = [*_port_problems(self.service, self.gateway), *_alias_problems(self.experiment)]
        if self.service.development and not is_loopback(self.service.host):
            problems.append(
                f"[service] development = true asks for no tokens, so host must be a loopback address, "
                f"not {self.service.host!r}"
            )
        if not self.privacy.allow_external:
            problems += _external_problems(self.experiment, self.gateway)
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def service_config(self) -> ServiceConfig:
        """What :func:`collector.app.create_app` takes."""
        return ServiceConfig(service=self.service, warehouse=self.warehouse, experiment=self.experiment)

    def api_url(self) -> str:
        """Where the owner service answers, as seen from this machine."""
        return f"http://{reachable(self.service.host)}:{self.service.api_port}"

    def gateway_url(self) -> str:
        """Where the gateway answers, as seen from this machine."""
        return f"http://{reachable(self.gateway.host)}:{self.gateway.port}"

    def dashboard_url(self) -> str:
        """Where the dashboard answers, as seen from this machine."""
        return f"http://{reachable(self.service.host)}:{self.service.dashboard_port}"


class Loaded(NamedTuple):
    """Settings, where they came from, and what is allowed but should be known."""

    settings: Settings
    file: Path | None
    """Absolute path of the file read; None when there is none and the defaults hold."""
    warnings: tuple[str, ...]


def load_settings(config: Path | None = None, environment: Mapping[str, str] | None = None) -> Loaded:
    """Read and check everything once, at the rim; the rooms get plain models.

    Args:
        config: the file; None: ``EQUIPOISE_CONFIG``, else ``equipoise.toml`` in the working directory, which may lack.
        environment: names of variables to check and to blame; the values are those of ``os.environ``.

    Raises:
        UserError: no such file, no TOML, an unknown or wrong key or variable; one line each.
    """
    environment = os.environ if environment is None else environment
    file = settings_file(config, environment)
    content = _read(file) if file else {}
    source = str(config or environment.get("EQUIPOISE_CONFIG") or DEFAULT_FILE)
    lines = unknown_variables(Settings, environment)
    if lines:
        raise UserError(*lines)
    try:
        settings = Settings(**content)
    except ValidationError as error:
        raise UserError(*complaints(error, Settings, source, environment)) from None
    except SettingsError as error:
        raise UserError(_no_json(error, environment)) from None
    return Loaded(_composed(settings, file), file, warnings(settings))


def settings_file(config: Path | None, environment: Mapping[str, str]) -> Path | None:
    """The file that counts, absolute; None when none is named and the default one is not there.

    Raises:
        UserError: a file was named and is not there.
    """
    named = config or (Path(environment["EQUIPOISE_CONFIG"]) if environment.get("EQUIPOISE_CONFIG") else None)
    if named is None:
        return DEFAULT_FILE.absolute() if DEFAULT_FILE.is_file() else None
    if not named.is_file():
        raise UserError(f"settings file {named} does not exist: give another --config or set EQUIPOISE_CONFIG")
    return named.absolute()


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{file}: not valid TOML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: can't be read: {error}") from None


def _no_json(error: SettingsError, environment: Mapping[str, str]) -> str:
    cause = error.__cause__
    if isinstance(cause, json.JSONDecodeError):
        for name, value in environment.items():
            if name.upper().startswith(PREFIX) and value == cause.doc:
                return f"environment variable {name}: a table or list is written as JSON, and this is none: {cause}"
    return f"an {PREFIX}… variable can't be read: {error}"


def _composed(settings: Settings, file: Path | None) -> Settings:
    """Paths made absolute, and what two sections say about the gateway brought together."""
    service, gateway = settings.service, settings.gateway
    # Relative to the file, not to the working directory: `up` finds the same data wherever it is started from.
    base = file.parent if file else Path.cwd()
    host = gateway.host if "host" in gateway.model_fields_set else service.host
    port = gateway.port if "port" in gateway.model_fields_set else service.gateway_port
    open_assignments = gateway.allow_assignments_without_token or (service.development and is_loopback(host))
    warehouse = settings.warehouse
    if warehouse.url and "://" not in warehouse.url and not warehouse.url.startswith("ducklake:"):
        warehouse = warehouse.model_copy(update={"url": str(base / warehouse.url)})
    return settings.model_copy(
        update={
            "warehouse": warehouse,
            "service": service.model_copy(update={"data": base / service.data, "gateway_port": port}),
            "gateway": gateway.model_copy(
                update={"host": host, "port": port, "allow_assignments_without_token": open_assignments}
            ),
        }
    )


def reachable(host: str) -> str:
    """The address to ask for a service that listens on ``host``: a wildcard is asked on loopback."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


def _port_problems(service: ServiceSettings, gateway: GatewaySettings) -> list[str]:
    problems = []
    both = "port" in gateway.model_fields_set and "gateway_port" in service.model_fields_set
    if both and gateway.port != service.gateway_port:
        problems.append(
            f"[service] gateway_port is {service.gateway_port} and [gateway] port is {gateway.port}: leave one out"
        )
    ports = {
        "api_port": service.api_port,
        "gateway_port": gateway.port if "port" in gateway.model_fields_set else service.gateway_port,
        "dashboard_port": service.dashboard_port,
    }
    taken: dict[int, str] = {}
    for name, port in ports.items():
        if port and port in taken:
            problems.append(f"[service] {taken[port]} and {name} are both {port}: give each its own port")
        taken[port] = name
    return problems


def _alias_problems(experiments: Mapping[str, ExperimentSettings]) -> list[str]:
    seen: dict[str, str] = {}
    problems = []
    for name, experiment in experiments.items():
        if experiment.alias in seen:
            problems.append(
                f"[experiment.{name}] alias {experiment.alias!r} is also that of {seen[experiment.alias]!r}: "
                "the gateway tells experiments apart by their alias"
            )
        seen[experiment.alias] = name
    return problems


def _external_problems(experiments: Mapping[str, ExperimentSettings], gateway: GatewaySettings) -> list[str]:
    urls = {
        f"[experiment.{name}.arms.{arm_name}] url": arm.url
        for name, experiment in experiments.items()
        for arm_name, arm in experiment.arms.items()
    }
    urls["[gateway] upstream_url"] = gateway.upstream_url
    urls |= {f"[gateway.upstreams] {prefix}": url for prefix, url in gateway.upstreams.items()}
    return [
        f"{where} {url!r} lies outside the own network, and children's texts would go there: use a local address, "
        "or set [privacy] allow_external = true if that has been agreed"
        for where, url in urls.items()
        if not is_local(url)
    ]


def warnings(settings: Settings) -> tuple[str, ...]:
    """What is allowed but costs something: shared salts, device units, unequal parameters, a base without traffic."""
    lines = []
    salts: dict[str, str] = {}
    for name, experiment in settings.experiment.items():
        salt = experiment.salt or name
        if salt in salts:
            lines.append(
                f"[experiment.{name}] has the same salt as {salts[salt]!r}: their assignments are not independent; "
                "leave salt out or give each its own"
            )
        salts.setdefault(salt, name)
        if experiment.unit == "device":
            lines.append(
                f'[experiment.{name}] unit = "device" needs about 2.2 times the effect to be seen, and the guard '
                "notices a burst later (docs/configuration.md, Unit)"
            )
        proposed = experiment.proposed(name)
        if any(arm.parameters != proposed.arms[0].parameters for arm in proposed.arms):
            lines.append(
                f"[experiment.{name}] its arms have different parameters: the comparison is then one of model and "
                "parameters together"
            )
        if len(proposed.arms) == 1:
            lines.append(f"[experiment.{name}] has one arm: there is nothing to compare and nothing to guard")
        if proposed.arm(proposed.base).weight == 0:
            lines.append(
                f"[experiment.{name}] base arm has weight 0: without a concurrent control no rate can be compared"
            )
    return tuple(lines)
