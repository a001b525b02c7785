"""equipoise.toml and the environment: what is read, what wins, and what every mistake is answered with."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ops.errors import UserError
from ops.settings import load_settings
from tests.ops.conftest import ARMS

EXAMPLE = Path(__file__).parents[2] / "equipoise.example.toml"


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "equipoise.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def lines_of(path: Path | None = None) -> tuple[str, ...]:
    with pytest.raises(UserError) as caught:
        load_settings(path)
    assert caught.value.code == 2
    assert all("\n" not in line for line in caught.value.lines)
    return caught.value.lines


def test_the_example_loads_and_says_the_defaults() -> None:
    loaded = load_settings(EXAMPLE)
    assert loaded.warnings == ()
    assert [arm.weight for arm in loaded.settings.experiment["stage2"].proposed("stage2").arms] == [90, 10]
    written = loaded.settings.experiment["stage2"]
    plain = type(written).model_validate({"arms": {n: a.model_dump() for n, a in written.arms.items()}})
    assert written.guard == plain.guard
    assert written.plan == plain.plan
    assert loaded.settings.alerts == type(loaded.settings.alerts)()


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    loaded = load_settings()
    assert loaded.file is None
    assert (loaded.settings.service.api_port, loaded.settings.gateway.port) == (17811, 17812)
    assert loaded.settings.service.data == tmp_path / "data"


def test_the_environment_wins_over_the_file(write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("[service]\napi_port = 1234\n" + ARMS)
    monkeypatch.setenv("EQUIPOISE_SERVICE__API_PORT", "4321")
    monkeypatch.setenv("EQUIPOISE_EXPERIMENT__STAGE2__ARMS__ADAPTER__WEIGHT", "7")
    settings = load_settings(path).settings
    assert settings.service.api_port == 4321
    assert {name: arm.weight for name, arm in settings.experiment["stage2"].arms.items()} == {"base": 60, "adapter": 7}


def test_the_file_is_named_by_the_environment(write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = write("[service]\napi_port = 1234\n").rename(Path("other.toml").absolute())
    monkeypatch.setenv("EQUIPOISE_CONFIG", "other.toml")
    loaded = load_settings()
    assert (loaded.file, loaded.settings.service.api_port) == (elsewhere, 1234)


def test_relative_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    path = tmp_path / "etc" / "e.toml"
    path.write_text('[service]\ndata = "d"\n[warehouse]\nurl = "w.duckdb"\n')
    settings = load_settings(path).settings
    assert settings.service.data == tmp_path / "etc" / "d"
    assert settings.warehouse.url == str(tmp_path / "etc" / "w.duckdb")


@pytest.mark.parametrize(
    ("text", "where", "hint"),
    [
        ("[service]\napi_prt = 1\n", "[service] api_prt", "'api_port'"),
        ("[servce]\napi_port = 1\n", "servce", "'service'"),
        (ARMS + "[experiment.stage2.guard]\nlimits = 0.1\n", "[experiment.stage2.guard] limits", "'limit'"),
        (ARMS + "wieght = 3\n", "[experiment.stage2.arms.adapter] wieght", "'weight'"),
        ("[privacy]\nzzzz = 1\n", "[privacy] zzzz", "known here: allow_external"),
    ],
)
def test_an_unknown_key_names_the_nearest_known_one(
    write: Callable[[str], Path], text: str, where: str, hint: str
) -> None:
    path = write(text)
    line = next(line for line in lines_of(path) if "unknown key" in line)
    assert line.startswith(f"{path}: {where}: ")
    assert hint in line


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("EQUIPOISE_SERVICE__API_PRT", "EQUIPOISE_SERVICE__API_PORT"),
        ("EQUIPOISE_SERVCE__API_PORT", "EQUIPOISE_SERVICE__API_PORT"),
        ("EQUIPOISE_CONFG", "EQUIPOISE_CONFIG"),
        ("EQUIPOISE_EXPERIMENT__STAGE2__GUARD__LIMITT", "EQUIPOISE_EXPERIMENT__STAGE2__GUARD__LIMIT"),
        ("EQUIPOISE_XYZ", "known: EQUIPOISE_"),
    ],
)
def test_an_unknown_variable_is_an_error_and_names_the_nearest(
    monkeypatch: pytest.MonkeyPatch, variable: str, hint: str
) -> None:
    monkeypatch.setenv(variable, "1")
    (line,) = lines_of()
    assert line.startswith(f"environment variable {variable} is unknown")
    assert hint in line


def test_free_form_parameters_are_written_as_json(
    write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EQUIPOISE_EXPERIMENT__STAGE2__PARAMETERS", '{"top_p": 0.5}')
    assert load_settings(write(ARMS)).settings.experiment["stage2"].parameters == {"top_p": 0.5}
    monkeypatch.setenv("EQUIPOISE_EXPERIMENT__STAGE2__PARAMETERS__TOP_P", "0.5")
    (line,) = lines_of(write(ARMS))
    assert "write the whole of it as JSON into EQUIPOISE_EXPERIMENT__STAGE2__PARAMETERS" in line


def test_a_wrong_value_in_the_environment_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_SERVICE__API_PORT", "many")
    (line,) = lines_of()
    assert line.startswith("environment variable EQUIPOISE_SERVICE__API_PORT: ")
    assert "'many'" in line


def test_a_section_that_is_no_json_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_EXPERIMENT", "{broken")
    (line,) = lines_of()
    assert line.startswith("environment variable EQUIPOISE_EXPERIMENT: ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[service]\napi_port = 70000\n", "[service] api_port"),
        ("[service\n", "not valid TOML"),
        ("experiment = 3\n", "experiment: "),
        ("[service]\napi_port = 17812\n", "api_port and gateway_port are both 17812"),
        ("[service]\ngateway_port = 1\n[gateway]\nport = 2\n", "leave one out"),
        ('[service]\ndevelopment = true\nhost = "0.0.0.0"\n', "loopback"),
        (ARMS + "[experiment.other]\n" + ARMS.replace("stage2", "other"), "alias 'equipoise-stage2' is also that of"),
        (ARMS.replace("arms.base", "arms.Base"), "arm name 'Base'"),
        (ARMS.replace("[experiment.stage2.arms.adapter]\nmodel", "[experiment.stage2.arms.adapter]\nmodle"), "'model'"),
    ],
)
def test_every_mistake_is_one_line(write: Callable[[str], Path], text: str, words: str) -> None:
    assert any(words in line for line in lines_of(write(text)))


def test_a_named_file_must_be_there() -> None:
    (line,) = lines_of(Path("nowhere.toml"))
    assert "nowhere.toml does not exist" in line


@pytest.mark.parametrize("url", ["https://api.example.com", "http://8.8.8.8:11434"])
def test_texts_stay_in_the_own_network_unless_agreed(write: Callable[[str], Path], url: str) -> None:
    text = ARMS + f'url = "{url}"\n'
    (line,) = lines_of(write(text))
    assert "[experiment.stage2.arms.adapter] url" in line
    assert "allow_external" in line
    assert load_settings(write(text + "[privacy]\nallow_external = true\n")).settings.privacy.allow_external


@pytest.mark.parametrize(
    "url", ["http://localhost:1", "http://10.0.0.5:1", "http://gpu:1", "http://gpu.local", "http://[::1]:1"]
)
def test_addresses_of_the_own_network_are_local(write: Callable[[str], Path], url: str) -> None:
    load_settings(write(ARMS + f'url = "{url}"\n'))


def test_the_upstream_is_held_to_the_same_rule(write: Callable[[str], Path]) -> None:
    (line,) = lines_of(write('[gateway]\nupstream_url = "https://example.com"\n'))
    assert "[gateway] upstream_url" in line


def test_development_mode_reaches_the_gateway(write: Callable[[str], Path]) -> None:
    assert load_settings(write("[service]\ndevelopment = true\n")).settings.gateway.allow_assignments_without_token
    assert not load_settings(write("")).settings.gateway.allow_assignments_without_token


def test_the_gateway_port_may_stand_in_either_section(write: Callable[[str], Path]) -> None:
    for text in ("[service]\ngateway_port = 4000\n", "[gateway]\nport = 4000\n"):
        settings = load_settings(write(text)).settings
        assert (settings.service.gateway_port, settings.gateway.port) == (4000, 4000)
        assert settings.gateway_url() == "http://127.0.0.1:4000"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            '[experiment.a]\nsalt = "s"\nalias = "a"\n' + ARMS.replace("stage2", "a")
            + '[experiment.b]\nsalt = "s"\nalias = "b"\n' + ARMS.replace("stage2", "b"),
            "the same salt as 'a'",
        ),
        ('[experiment.stage2]\nunit = "device"\n' + ARMS, "2.2 times"),
        (ARMS + "parameters = {temperature = 1.0}\n", "different parameters"),
        (ARMS.replace("weight = 60", "weight = 0"), "weight 0"),
        (ARMS.partition("[experiment.stage2.arms.adapter]")[0], "one arm"),
    ],
)  # fmt: skip
def test_what_is_allowed_but_costs_something_is_said(write: Callable[[str], Path], text: str, words: str) -> None:
    loaded = load_settings(write(text))
    assert any(words in line for line in loaded.warnings)
