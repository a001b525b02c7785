"""What ``doctor`` sees over HTTP: the three services, the token, the verdict source, backends and their models."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import httpx

from client.errors import ServiceDown, ServiceError
from client.http import Client
from experiment.arms import Arm, same_model
from ops.finding import Finding, Level
from ops.settings import Settings

_TIMEOUT_S: Final = 3.0
_START: Final = "start everything with 'equipoise up', or it alone with 'equipoise {}'"


def service(settings: Settings, client: Client) -> tuple[bool, list[Finding]]:
    """(whether the owner service answers, findings about it, the token, the guard and its source of verdicts)."""
    try:
        readiness = client.ready()
    except ServiceDown:
        detail = f"nobody answers at {client.url}"
        return False, [Finding("warning", "service", detail, _START.format("serve"))]
    problems = [str(text) for text in readiness.detail.get("problems", ())]
    findings = [
        Finding("ok", "service", f"answers at {client.url}")
        if readiness.ready
        else Finding("problem", "service", "; ".join(problems) or "is not ready", "see its log in the data folder")
    ]
    try:
        for name in settings.experiment:
            findings += _guard(name, client.guard(name))
    except ServiceError as error:
        findings.append(Finding("problem", "token", str(error), "give --token, or run doctor as the service's user"))
    else:
        findings.append(Finding("ok", "token", "is accepted"))
    return True, findings


def _guard(name: str, answer: dict[str, Any]) -> Iterator[Finding]:
    level: Level
    latest = answer["latest_verdict"]
    if latest is None:
        yield Finding(
            "warning",
            f"verdicts of {name}",
            "no safety verdict has ever arrived: arming will be refused",
            "send 'block' and 'not_blocked' outcomes (docs/host-integration.md) or run 'equipoise import host --watch'",
        )
    else:
        hours = (datetime.now(UTC) - datetime.fromisoformat(latest)).total_seconds() / 3600
        level = "ok" if hours < 24 else "warning"
        todo = "" if hours < 24 else "if a workshop is running, its verdicts do not arrive"
        yield Finding(level, f"verdicts of {name}", f"the latest is {hours:.1f} hours old", todo)
    for adapter in answer["adapters"]:
        level = "warning" if adapter["state"] in ("watch", "rolled_back", "failsafe") else "ok"
        todo = "read 'equipoise guard status' and decide" if level == "warning" else ""
        yield Finding(level, f"guard of {name}/{adapter['arm']}", adapter["sentence"], todo)


def endpoint(what: str, url: str, command: str) -> Iterator[Finding]:
    """Whether a service of ours says that it is ready.

    Args:
        what: its name.
        url: its readiness address.
        command: starts it.
    """
    answer = _get(url)
    if answer is None:
        yield Finding("warning", what, f"nobody answers at {url}", _START.format(command))
    elif answer.status_code != 200:
        yield Finding("problem", what, f"is not ready ({answer.status_code}): {answer.text[:300]}", "see its log")
    else:
        yield Finding("ok", what, f"answers at {url}")


def backends(settings: Settings) -> Iterator[Finding]:
    """For every arm: whether its server answers and has its model. A missing adapter is served by the base arm."""
    for name, experiment in settings.experiment.items():
        for arm in experiment.proposed(name).arms:
            yield _backend(f"model of {name}/{arm.name}", arm)


def _backend(what: str, arm: Arm) -> Finding:
    path = {"ollama": "/api/tags", "openai": "/v1/models", "gpu_service": "/"}[arm.backend]
    answer = _get(arm.url + path)
    if answer is None:
        return Finding("problem", what, f"{arm.url} does not answer ({arm.backend})", "start it, or set the arm's url")
    if arm.backend == "gpu_service":
        # It has no list of models: any answer shows that something listens, the first call shows the rest.
        return Finding("ok", what, f"{arm.url} answers; it can't be asked for {arm.model!r} beforehand")
    try:
        known = _models(answer.json())
    except (ValueError, TypeError, KeyError):
        todo = f"is it a server that speaks {arm.backend}?"
        return Finding("problem", what, f"{arm.url}{path} answers {answer.status_code} without a list of models", todo)
    if any(same_model(arm.model, model) for model in known):
        return Finding("ok", what, f"{arm.url} has {arm.model!r}")
    todo = (
        f"load it there (ollama pull {arm.model}), or set the arm's model"
        if arm.backend == "ollama"
        else "load it there"
    )
    return Finding("problem", what, f"{arm.url} has no {arm.model!r}; it has: {', '.join(known[:10]) or 'none'}", todo)


def _models(body: dict[str, Any]) -> list[str]:
    """Model names of Ollama's ``/api/tags`` or OpenAI's ``/v1/models``."""
    if "models" in body:
        return [str(item["name"]) for item in body["models"]]
    return [str(item["id"]) for item in body["data"]]


def _get(url: str) -> httpx.Response | None:
    try:
        return httpx.get(url, timeout=_TIMEOUT_S, trust_env=False)
    except httpx.HTTPError:
        return None
