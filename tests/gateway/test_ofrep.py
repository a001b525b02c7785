"""OpenFeature's own provider, unmodified, against the gateway; and the protocol's errors."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from tests.gateway.harness import PSEUDONYMISER, TOKEN, House, experiment

AUTH = {"Authorization": f"Bearer {TOKEN}"}


def client(house: House) -> Any:
    api.set_provider(OFREPProvider(house.start(), headers_factory=lambda: AUTH))
    return api.get_client()


def test_the_provider_gets_arm_variant_reason_and_metadata(house: House) -> None:
    house.permit("adapter", epoch=5)
    context = EvaluationContext("run_1", {"device": "abc_2026-03-01", "config": "stille", "anything": 5})
    details = client(house).get_string_details("stage2", "base", context)
    assert (details.value, details.variant, details.reason) == ("adapter", "adapter", Reason.SPLIT)
    assert details.error_code is None
    metadata = dict(details.flag_metadata)
    assert metadata.pop("evaluated_at")
    assert isinstance(metadata.pop("bucket"), int)
    assert metadata == {
        "reason": "split",
        "epoch": 5,
        "model": "qwen3:4b-ai4artsed-v1",
        "unit": PSEUDONYMISER.run("run_1"),
    }


def test_a_regeneration_inherits_through_the_context(house: House) -> None:
    house.experiments = {"stage2": experiment(house.double.url, base_weight=1)}
    house.permit("adapter")
    asked = client(house)
    for number in range(20):
        first = asked.get_string_value("stage2", "?", EvaluationContext(f"run_{number}"))
        context = EvaluationContext(f"repeat_{number}", {"parent_run": f"run_{number}"})
        assert asked.get_string_value("stage2", "?", context) == first


@pytest.mark.parametrize(
    ("happens", "reason", "ours"),
    [
        (lambda house: house.permit(), Reason.DISABLED, "guard"),
        (lambda house: (house.permits / "stage2.json").unlink(missing_ok=True), Reason.DEFAULT, "default"),
        (lambda house: house.write_permit("{"), Reason.ERROR, "error"),
        (
            lambda house: house.permit("adapter", base_only_until=house.now() + timedelta(hours=1)),
            Reason.TARGETING_MATCH,
            "override",
        ),
    ],
)
def test_our_reasons_in_openfeatures_words(house: House, happens: Any, reason: Reason, ours: str) -> None:
    happens(house)
    details = client(house).get_string_details("stage2", "nothing", EvaluationContext("run_1"))
    assert (details.value, details.reason, details.flag_metadata["reason"]) == ("base", reason, ours)


@pytest.mark.parametrize(
    ("key", "context", "code"),
    [
        ("none", EvaluationContext("run_1"), ErrorCode.FLAG_NOT_FOUND),
        ("stage2", EvaluationContext(), ErrorCode.TARGETING_KEY_MISSING),
        ("stage2", EvaluationContext("", {"device": "d"}), ErrorCode.TARGETING_KEY_MISSING),
        ("stage2", EvaluationContext("run_1", {"config": 5}), ErrorCode.INVALID_CONTEXT),
        ("stage2", EvaluationContext("r" * 1001), ErrorCode.INVALID_CONTEXT),
    ],
)
def test_the_provider_understands_our_errors(
    house: House, key: str, context: EvaluationContext, code: ErrorCode
) -> None:
    details = client(house).get_string_details(key, "fallback", context)
    assert (details.value, details.error_code) == ("fallback", code)


def test_the_provider_without_a_token_falls_back(house: House) -> None:
    api.set_provider(OFREPProvider(house.start()))
    details = api.get_client().get_string_details("stage2", "fallback", EvaluationContext("run_1"))
    assert (details.value, details.error_code) == ("fallback", ErrorCode.GENERAL)


def post(house: House, path: str, body: Any, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else None
    json = None if isinstance(body, bytes) else body
    return httpx.post(
        f"{house.url}/ofrep/v1/evaluate/flags{path}", content=content, json=json, headers=AUTH | headers, timeout=30
    )


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "PARSE_ERROR"),
        (b"[]", 400, "PARSE_ERROR"),
        (b"[" * 100_000, 400, "PARSE_ERROR"),
        ({"context": "x"}, 400, "INVALID_CONTEXT"),
        ({"context": {"targetingKey": 5}}, 400, "INVALID_CONTEXT"),
        ({"context": {"targetingKey": ""}}, 400, "TARGETING_KEY_MISSING"),
        ({}, 400, "TARGETING_KEY_MISSING"),
        (b"", 400, "TARGETING_KEY_MISSING"),
        (b'{"context":{"targetingKey":"' + b"x" * 10_000_000 + b'"}}', 413, "PARSE_ERROR"),
    ],
)
def test_errors_have_ofreps_form(house: House, body: Any, status: int, code: str) -> None:
    house.start()
    one, many = post(house, "/stage2", body), post(house, "", body)
    assert one.status_code == many.status_code == status
    assert one.json() == {"key": "stage2", "errorCode": code, "errorDetails": one.json()["errorDetails"]}
    assert many.json()["errorCode"] == code


def test_bulk_evaluates_every_experiment_with_an_etag(house: House) -> None:
    house.experiments |= {"byday": experiment(house.double.url, alias="other", unit="device")}
    house.permit("adapter")
    house.start()
    body = {"context": {"targetingKey": "run_1", "device": "abc_2026-03-01"}}
    answer = post(house, "", body)
    flags = {flag["key"]: flag for flag in answer.json()["flags"]}
    assert {key: flag["value"] for key, flag in flags.items()} == {"stage2": "adapter", "byday": "base"}
    assert flags["byday"]["metadata"]["unit"] == PSEUDONYMISER.device("abc_2026-03-01")
    tag = answer.headers["ETag"]
    same = post(house, "", body, **{"If-None-Match": f'"x", {tag}'})
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", tag)
    house.permit()
    changed = post(house, "", body, **{"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag


def test_bulk_names_the_experiments_it_cant_evaluate(house: House) -> None:
    house.experiments |= {"byday": experiment(house.double.url, alias="other", unit="device")}
    house.start()
    flags = post(house, "", {"context": {"run": "run_1"}}).json()["flags"]
    assert [(flag["key"], flag.get("errorCode")) for flag in flags] == [
        ("stage2", None),
        ("byday", "TARGETING_KEY_MISSING"),
    ]
