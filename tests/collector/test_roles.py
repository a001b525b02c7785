"""Every route and every role; tokens on disk."""

import json

import httpx
import pytest

from collector.app import create_app, is_loopback
from collector.tokens import ROLES, Tokens
from tests.collector.conftest import config

CALL = {"id": "c1", "ts": "2026-03-02T09:00:00Z", "experiment": "stage2"}
ACT = {"arm": "lora", "reason": "a test", "actor": "Ada"}
GUARD = "/v1/experiments/stage2/guard"
EXCLUSION = {"id": "x", "experiment": "stage2", "day": "2026-03-02", "reason": "stress test", "actor": "Ada"}

ROUTES = [
    ("POST", "/v1/calls", CALL, {"host", "researcher"}),
    ("POST", "/v1/outcomes", CALL | {"kind": "favourite", "call": "c1"}, {"host", "researcher"}),
    ("GET", "/v1/experiments", None, {"host", "researcher", "leader"}),
    ("GET", "/v1/experiments/stage2", None, {"host", "researcher", "leader"}),
    ("GET", "/v1/experiments/stage2/results", None, {"host", "researcher", "leader"}),
    ("GET", "/v1/experiments/stage2/quality", None, {"host", "researcher", "leader"}),
    ("POST", "/v1/experiments/stage2/conclude", {"reason": "over", "actor": "Ada"}, {"researcher"}),
    ("GET", GUARD, None, {"host", "researcher", "leader"}),
    ("GET", f"{GUARD}/events", None, {"researcher", "leader"}),
    ("POST", GUARD, ACT | {"action": "arm", "adapter": "x"}, {"researcher"}),
    ("POST", GUARD, ACT | {"action": "resume"}, {"researcher"}),
    ("POST", GUARD, ACT | {"action": "opt_in", "device": "d"}, {"researcher"}),
    ("POST", GUARD, ACT | {"action": "pause"}, {"researcher", "leader"}),
    ("POST", GUARD, ACT | {"action": "rollback"}, {"researcher", "leader"}),
    ("POST", GUARD, ACT | {"action": "base_only_today"}, {"researcher", "leader"}),
    ("POST", GUARD, ACT | {"action": "opt_out", "device": "d"}, {"researcher", "leader"}),
    ("GET", "/v1/calls", None, {"researcher"}),
    ("GET", "/v1/exclusions?experiment=stage2", None, {"researcher"}),
    ("POST", "/v1/exclusions", EXCLUSION, {"researcher"}),
    ("GET", "/v1/snapshot?experiment=stage2", None, {"researcher"}),
    ("GET", "/v1/snapshot/calls?experiment=stage2", None, {"researcher"}),
    ("DELETE", "/v1/units/abc", None, set()),
    ("DELETE", "/v1/runs/abc", None, set()),
    ("GET", "/metrics", None, {"host", "researcher", "leader"}),
]


def ask(live, method, path, body, token):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.request(method, live.url + path, json=body, headers=headers, timeout=30)


def test_every_route_and_every_role(guarded):
    tokens = Tokens(guarded.data / "tokens.json")
    for method, path, body, allowed in ROUTES:
        for role in ROLES:
            status = ask(guarded, method, path, body, tokens.token(role)).status_code
            may = role in allowed or role == "admin"
            assert (status not in (401, 403)) is may, f"{role} {method} {path} {body}: {status}"
        for token in ("", "wrong"):
            assert ask(guarded, method, path, body, token).status_code == 401, f"{method} {path}"


def test_the_table_above_names_every_route_of_the_service(guarded):
    listed = {(method, path.split("?")[0].replace("stage2", "{name}")) for method, path, _, _ in ROUTES}
    listed = {(method, path.replace("/abc", "/{key}")) for method, path in listed}
    listed = {(method, path.replace("snapshot/calls", "snapshot/{table}")) for method, path in listed}
    served = {
        (method.upper(), path.replace("{device}", "{key}").replace("{run}", "{key}"))
        for path, item in guarded.http.get("/openapi.json").json()["paths"].items()
        for method in item
        if path not in ("/healthz", "/readyz")
    }
    assert served <= listed


def test_health_needs_no_token(guarded):
    assert guarded.http.get("/healthz").status_code == 200
    assert guarded.http.get("/readyz").json()["ready"] is True


def test_an_opt_out_stores_the_pseudonym_alone(live):
    live.arm()
    answer = live.guard(action="opt_out", device="kid_2026-03-02")
    assert "d_" in answer.json()["sentence"]
    assert "kid_2026" not in answer.text


class TestTokensFile:
    def test_is_made_once_private_and_stays(self, tmp_path):
        first = Tokens(tmp_path / "tokens.json")
        again = Tokens(tmp_path / "tokens.json")
        assert (tmp_path / "tokens.json").stat().st_mode & 0o777 == 0o600
        assert [again.token(role) for role in ROLES] == [first.token(role) for role in ROLES]
        assert len({first.token(role) for role in ROLES}) == len(ROLES)

    def test_readable_by_others_is_refused(self, tmp_path):
        Tokens(tmp_path / "tokens.json")
        (tmp_path / "tokens.json").chmod(0o644)
        with pytest.raises(ValueError, match="chmod 600"):
            Tokens(tmp_path / "tokens.json")

    @pytest.mark.parametrize("content", ["{", "{}", json.dumps({"host": 3})])
    def test_damaged_says_what_to_do(self, tmp_path, content):
        path = tmp_path / "tokens.json"
        path.write_text(content)
        path.chmod(0o600)
        with pytest.raises(ValueError, match="delete it"):
            Tokens(path)

    def test_a_rotated_token_is_another(self, tmp_path):
        tokens = Tokens(tmp_path / "tokens.json")
        old = tokens.token("host")
        new = tokens.rotate("host")
        assert tokens.check(old) is None
        assert Tokens(tmp_path / "tokens.json").check(new).role == "host"


def test_development_mode_is_refused_on_an_address_others_can_reach(tmp_path):
    with pytest.raises(ValueError, match="development = true"):
        create_app(config(tmp_path, development=True, host="0.0.0.0"))
    assert [is_loopback(host) for host in ("localhost", "127.0.0.1", "::1", "10.0.0.1", "school.example")] == [
        True, True, True, False, False
    ]  # fmt: skip
