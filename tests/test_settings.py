from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modellix_jupyter.errors import ConfigError
from modellix_jupyter.settings import SETTING_NAMES, Settings, check_origin, from_environment

BOUNDED = {
    item.name: item.metadata["min"]
    for item in dataclasses.fields(Settings)
    if item.metadata["min"] is not None
}


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://api.modellix.ai", "https://api.modellix.ai"),
        ("https://api.modellix.ai/", "https://api.modellix.ai"),
        ("  https://api.modellix.ai\n", "https://api.modellix.ai"),
        ("HTTPS://API.Modellix.AI", "https://api.modellix.ai"),
        ("https://api.modellix.ai:8443", "https://api.modellix.ai:8443"),
        ("https://localhost", "https://localhost"),
        ("https://10.0.0.1:8443/", "https://10.0.0.1:8443"),
        ("http://localhost:9000", "http://localhost:9000"),
        ("http://LOCALHOST:9000", "http://localhost:9000"),
        ("http://127.0.0.1:9000/", "http://127.0.0.1:9000"),
        ("http://[::1]:9000", "http://[::1]:9000"),
        ("https://[2001:db8::1]", "https://[2001:db8::1]"),
    ],
)
def test_an_origin(url: str, origin: str) -> None:
    assert check_origin(url) == origin
    assert check_origin(origin) == origin
    assert Settings(base_url=url).base_url == origin


@pytest.mark.parametrize(
    ("url", "says"),
    [
        # not a URL
        ("", "not a URL"),
        ("api.modellix.ai", "not a URL"),
        ("https://", "not a URL"),
        ("https:///api", "not a URL"),
        ("https://:443", "not a URL"),
        ("https://[::1", "not a URL"),
        ("https://api.modellix.ai:99999", "not a URL"),
        ("https://api.modellix.ai:port", "not a URL"),
        ("https://api.mod\nellix.ai", "not a URL"),
        ("https://api.modellix.ai\u202e", "not a URL"),
        (None, "not a URL"),
        (5, "not a URL"),
        # the key could be read on the way
        ("http://api.modellix.ai", "must be https"),
        ("http://10.0.0.1", "must be https"),
        ("http://127.0.0.2", "must be https"),
        ("http://localhost.evil.example", "must be https"),
        ("http://127.0.0.1.evil.example", "must be https"),
        ("http://[::ffff:127.0.0.1]", "must be https"),
        ("http://0.0.0.0", "must be https"),
        ("ftp://api.modellix.ai", "must be https"),
        ("file://localhost/etc/passwd", "must be https"),
        ("ws://localhost", "must be https"),
        ("//api.modellix.ai", "must be https"),
        # more than an origin
        ("https://api.modellix.ai/api/v1", "more than an origin"),
        ("https://api.modellix.ai?key=1", "more than an origin"),
        ("https://api.modellix.ai/#x", "more than an origin"),
        ("https://user@api.modellix.ai", "more than an origin"),
        ("https://user:secret@api.modellix.ai", "more than an origin"),
        ("https://:secret@api.modellix.ai", "more than an origin"),
        ("https://api.modellix.ai\\@evil.example", "more than an origin"),
        ("http://localhost@evil.example", "must be https"),
    ],
)
def test_what_is_no_origin_is_refused(url: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=f"^base_url .*{says}") as caught:
        check_origin(url)
    assert "https://api.modellix.ai" in caught.value.hint
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"^schema_url"):
        check_origin(url, "schema_url")


@given(st.text() | st.text().map("https://{}".format) | st.text().map("http://localhost{}".format))
def test_any_text_is_an_origin_or_a_config_error(text: str) -> None:
    try:
        origin = check_origin(text)
    except ConfigError:
        return
    assert origin.startswith(("https://", "http://localhost"))
    assert origin.isprintable()
    assert origin.count("/") == 2
    assert check_origin(origin) == origin


def test_the_defaults_are_the_vendors() -> None:
    settings = Settings()
    assert settings.base_url == "https://api.modellix.ai"
    assert settings.submit_path == "/async"
    assert settings.schema_origin() == "https://www.modellix.ai"
    assert not settings.local


@pytest.mark.parametrize(
    ("base", "schema", "local", "origin"),
    [
        ("https://api.modellix.ai", "", False, "https://www.modellix.ai"),
        ("https://api.modellix.ai", "https://x.example/", False, "https://x.example"),
        ("http://127.0.0.1:9", "", True, "http://127.0.0.1:9"),
        ("http://[::1]:9", "", True, "http://[::1]:9"),
        ("http://localhost:9", "https://www.modellix.ai", True, "https://www.modellix.ai"),
        ("https://proxy.example", "", False, "https://www.modellix.ai"),
        ("https://localhost.example", "", False, "https://www.modellix.ai"),
    ],
)
def test_where_schemas_are_read(base: str, schema: str, local: bool, origin: str) -> None:  # noqa: FBT001 - a row of the table
    settings = Settings(base_url=base, schema_url=schema)
    assert settings.local is local
    assert settings.schema_origin() == origin


@pytest.mark.parametrize("name", BOUNDED)
def test_a_number_that_is_too_small_is_refused_by_name(name: str) -> None:
    min_value: Any = BOUNDED[name]
    assert getattr(Settings(**{name: min_value}), name) == min_value
    wrong: list[Any] = [min_value - 0.01, -1, float("nan"), float("inf"), -float("inf")]
    for value in wrong:
        with pytest.raises(ConfigError, match=f"^{name} is .* at least {min_value:g}"):
            Settings(**{name: value})


@pytest.mark.parametrize("name", BOUNDED)
@pytest.mark.parametrize("value", ["5", None, [5], 5j])
def test_what_is_no_number_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"^{name} is "):
        Settings(**{name: value})


def test_every_setting_that_counts_has_a_minimum() -> None:
    """A setting that could be 0 or negative by mistake would hang or flood."""
    numbers = {
        item.name for item in dataclasses.fields(Settings) if type(item.default) in {int, float}
    }
    assert numbers == set(BOUNDED)


def test_every_default_is_in_its_range_and_every_setting_is_explained() -> None:
    for item in dataclasses.fields(Settings):
        assert item.metadata["help"].endswith(".")
    assert set(SETTING_NAMES) >= {"base_url", "schema_url", "submit_path", "home", "ask_above"}
    assert len(SETTING_NAMES) == len(set(SETTING_NAMES)) == len(dataclasses.fields(Settings))


@pytest.mark.parametrize("path", ["async", "/async/", "/sync", "/async?x=1", None])
def test_the_path_of_a_submission_is_one_of_two(path: Any) -> None:
    assert Settings(submit_path="").submit_path == ""
    with pytest.raises(ConfigError, match="submit_path"):
        Settings(submit_path=path)


def test_settings_do_not_change_but_are_copied_and_checked_again() -> None:
    settings = Settings(home="/x")
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.home = "/y"  # type: ignore[misc]  # that it cannot is what is tested
    changed = settings.changed(base_url="http://localhost:9/", ask_above=3)
    assert (changed.base_url, changed.ask_above, changed.home) == ("http://localhost:9", 3, "/x")
    assert settings.base_url == "https://api.modellix.ai"
    with pytest.raises(ConfigError, match="base_url"):
        settings.changed(base_url="http://api.modellix.ai")
    with pytest.raises(ConfigError, match="ask_above"):
        settings.changed(ask_above=0)
    with pytest.raises(TypeError, match="typo"):
        settings.changed(typo=1)


def test_the_environment_says_two_of_them() -> None:
    env = {
        "MODELLIX_BASE_URL": "http://localhost:9/",
        "MODELLIX_HOME": "/somewhere",
        "MODELLIX_API_KEY": "never-a-setting",
        "MODELLIX_ASK_ABOVE": "1",
    }
    settings = from_environment(env)
    assert settings == Settings(base_url="http://localhost:9", home="/somewhere")
    assert "never-a-setting" not in repr(settings)


@pytest.mark.parametrize("env", [{}, {"MODELLIX_BASE_URL": "", "MODELLIX_HOME": ""}])
def test_an_empty_environment_says_nothing(env: dict[str, str]) -> None:
    assert from_environment(env) == Settings()


def test_a_wrong_environment_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="base_url"):
        from_environment({"MODELLIX_BASE_URL": "http://api.modellix.ai"})


def test_the_real_environment_is_read_when_asked(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELLIX_BASE_URL", "http://127.0.0.1:7")
    settings = from_environment()
    assert settings.base_url == "http://127.0.0.1:7"
    assert settings.folder() == home


def test_the_folder_is_the_home_or_the_platforms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("USERPROFILE", "/home/ada")
    assert Settings(home="~/pictures").folder() == Path("/home/ada/pictures")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert Settings().folder().parts[-1] == "modellix-jupyter"


def test_the_user_is_the_hubs_where_a_hub_started_the_kernel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOGNAME", "jovyan")
    monkeypatch.delenv("JUPYTERHUB_USER", raising=False)
    assert Settings().user_name() == "jovyan"
    monkeypatch.setenv("JUPYTERHUB_USER", "ada")
    assert Settings().user_name() == "ada"
    assert Settings(user="grace").user_name() == "grace"
