"""No method raises into the host, whatever it is called with."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client.host import Assignment, Equipoise


class Hostile:
    """Everything one may do to it fails."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("hostile")

    def __str__(self) -> str:
        raise RuntimeError("hostile")

    __repr__ = __str__
    __hash__ = None  # type: ignore[assignment]


def _nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=30),
    st.binary(max_size=30),
    st.datetimes(),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.floats(), max_size=3),
    st.builds(Hostile),
    st.builds(lambda: "x" * 300_000),
    st.builds(object),
    st.sampled_from(["\ud800", "\x00", datetime.min, datetime.max, Assignment("", "", "")]),
    st.builds(_nested, st.just(5000)),
)
METHODS = {
    "assign": "run device config safety_level language parent_run",
    "headers": "run device config safety_level language parent_run translated template_version",
    "call": "run assignment device parent_run model input context output config language safety_level "
    "template_version translated parameters refused latency_ms tokens_in tokens_out error ts",
    "favourite": "run ts",
    "unfavourite": "run ts",
    "regeneration": "run repeats ts",
    "submitted": "run ts",
    "block": "run stage method code ts",
    "not_blocked": "run method ts",
    "edit": "run ts",
}
SETTINGS = """url token spool experiment key budget_s gateway_url base_arm base_model queue_events queue_bytes
spool_bytes exit_s"""
NEEDED = {"regeneration": ("run", "repeats"), "block": ("run", "stage")}


@pytest.fixture(scope="module")
def equipoise(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = Equipoise(
        "http://127.0.0.1:9", "t", tmp_path_factory.mktemp("spool"), key="ab" * 32, gateway_url="http://127.0.0.1:9",
        budget_s=0.001,
    )  # fmt: skip
    yield made
    made.close(0.1)


@pytest.mark.parametrize("method", METHODS)
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_method_raises(equipoise: Equipoise, method: str, data: st.DataObject) -> None:
    names = METHODS[method].split()
    needed = NEEDED.get(method, ("run",))
    given_names = [name for name in names if name in needed or data.draw(st.booleans())]
    arguments = {name: data.draw(junk, label=name) for name in given_names}
    getattr(equipoise, method)(**arguments)
    for thread in (equipoise._outbox._keeper, equipoise._outbox._sender):
        assert thread is None or thread.is_alive()


@given(st.dictionaries(
    st.sampled_from(SETTINGS.split()),
    junk,
    max_size=4,
))  # fmt: skip
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_setting_raises(monkeypatch: pytest.MonkeyPatch, tmp_path: Any, settings: dict[str, Any]) -> None:
    monkeypatch.chdir(tmp_path)  # a spool named by junk must not land in the repository
    made = Equipoise(**({"url": "http://127.0.0.1:9", "gateway_url": "http://127.0.0.1:9"} | settings))
    made.assign("run_1_abcdef")
    made.favourite("run_1_abcdef")
    assert isinstance(made.health().message, str)
    made.close(0.01)
