from __future__ import annotations

import copy
import json
import pickle
import stat
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modellix_jupyter.errors import ConfigError
from modellix_jupyter.keys import (
    CONFIRMED,
    LONGEST,
    VARIABLE,
    KeyPlaces,
    SecretKey,
    check_key,
    find_key,
    from_colab,
    from_dotenv,
    from_keyring,
    places,
    store,
)
from modellix_jupyter.settings import DEFAULT_BASE_URL

KEY = "mdlx-5f1d7c0e9a34-secret"


class FakeKeyring(ModuleType):
    """A keyring that keeps, loses or refuses what it is given."""

    def __init__(self, mood: str = "keeps") -> None:
        super().__init__("keyring")
        self.mood = mood
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, name: str) -> str | None:
        if self.mood == "refuses":
            raise RuntimeError("locked")
        return self.kept.get((service, name))

    def set_password(self, service: str, name: str, value: str) -> None:
        if self.mood == "refuses":
            raise RuntimeError(f"cannot store {value}")
        if self.mood == "keeps":
            self.kept[service, name] = value


@pytest.fixture(autouse=True)
def keyring(monkeypatch: pytest.MonkeyPatch) -> FakeKeyring:
    """Put an empty keyring where the real one would be."""
    fake = FakeKeyring()
    monkeypatch.setitem(sys.modules, "keyring", fake)
    return fake


def colab(monkeypatch: pytest.MonkeyPatch, get: Callable[[str], Any]) -> None:
    parent, module, userdata = (
        ModuleType(name) for name in ("google", "google.colab", "google.colab.userdata")
    )
    userdata.__dict__["get"] = get
    module.__dict__["userdata"] = userdata
    parent.__dict__["colab"] = module
    for each in (parent, module, userdata):
        monkeypatch.setitem(sys.modules, each.__name__, each)


# -- a key shows itself to nobody


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        ascii,
        "{}".format,
        "{:>60}".format,
        "{!r:.99}".format,
        lambda key: f"{key}",
        lambda key: "%s %r" % (key, key),  # noqa: UP031 - this way of showing too
        lambda key: repr([key, {"key": key}]),
        lambda key: " ".join(dir(key)),
        lambda key: json.dumps({"key": key}, default=str),
    ],
)
def test_no_way_of_showing_a_key_shows_it(show: Callable[[SecretKey], str]) -> None:
    shown = show(SecretKey(KEY, "a test"))
    assert KEY not in shown
    assert "secret" not in shown


def test_a_key_is_known_by_where_it_came_from() -> None:
    assert repr(SecretKey(KEY, "the system keyring")) == "SecretKey(from the system keyring)"
    assert SecretKey(KEY, "x").reveal() == KEY


@pytest.mark.parametrize(
    "way", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, SecretKey.__getstate__]
)
def test_a_key_leaves_the_process_in_no_other_way(way: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError) as caught:
        way(SecretKey(KEY, "a test"))
    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_a_key_has_no_dictionary_to_look_into() -> None:
    key = SecretKey(KEY, "a test")
    with pytest.raises(TypeError):
        vars(key)
    assert KEY not in repr(hash(key))


def test_keys_are_equal_whatever_their_source() -> None:
    key = SecretKey(KEY, "here")
    assert key == SecretKey(f" {KEY}\n", "there")
    assert len({key, SecretKey(KEY, "there")}) == 1
    assert key != SecretKey(KEY + "x", "here")
    assert key != KEY


@pytest.mark.parametrize("value", ["k", "sk-abc_DEF.123~!", "a" * LONGEST, f"\t{KEY}\r\n"])
def test_what_a_key_may_be(value: str) -> None:
    assert check_key(value) == value.strip()


@pytest.mark.parametrize(
    "value",
    [
        "two words-hidden",
        "hidden\nX-Evil: 1",
        "hidden\0",
        "hidden\x7f",
        "hidden-ключ",
        "hidden-é",
        "“hidden”",
        "hidden\u200b",
        "hidden\ud800",
        "a" * (LONGEST + 1),
    ],
)
def test_what_it_may_not_be_is_refused_and_not_quoted(value: str) -> None:
    for make in (check_key, lambda v: SecretKey(v, "a test")):
        with pytest.raises(ConfigError) as caught:
            make(value)
        shown = str(caught.value) + repr(caught.value) + "".join(caught.value._render_traceback_())
        assert "hidden" not in shown
        assert "aaaa" not in shown
        assert "Copy it again" in caught.value.hint


@pytest.mark.parametrize("value", ["", " ", "\n\t"])
def test_an_empty_key_is_said_to_be_empty(value: str) -> None:
    with pytest.raises(ConfigError, match="empty"):
        check_key(value)


@given(st.text(min_size=4))
def test_a_refused_key_is_never_quoted(value: str) -> None:
    try:
        assert check_key(value) == value.strip()
    except ConfigError as error:
        said = error  # what is asserted of it comes after the block
    else:
        return
    fixed = {"The key is empty.", "The key has characters that keys cannot have, or is too long."}
    assert said.message in fixed


# -- where it may be


@pytest.fixture
def everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keyring: FakeKeyring
) -> tuple[KeyPlaces, dict[str, str]]:
    """Put a key of its own into each place."""
    environment = {VARIABLE: "of-environment"}
    (tmp_path / ".env").write_text(f"{VARIABLE}=of-dotenv\n")
    colab(monkeypatch, {VARIABLE: "of-colab"}.get)
    keyring.kept["modellix-jupyter", VARIABLE] = "of-keyring"
    (tmp_path / "key").write_text("of-file\n")
    return KeyPlaces(environment, tmp_path, tmp_path / "key"), environment


def test_the_places_are_asked_in_their_order(
    everywhere: tuple[KeyPlaces, dict[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    keyring: FakeKeyring,
) -> None:
    where, environment = everywhere

    def found() -> tuple[str, str] | None:
        key = where.find()
        return None if key is None else (key.reveal(), key.source)

    assert found() == ("of-environment", VARIABLE)
    environment.clear()
    assert found() == ("of-colab", "Colab's secrets")
    monkeypatch.delitem(sys.modules, "google.colab")
    assert found() == ("of-keyring", "the system keyring")
    keyring.kept.clear()
    assert found() == ("of-file", "the stored key file")
    (tmp_path / "key").unlink()
    assert found() == ("of-dotenv", "a .env file")
    (tmp_path / ".env").unlink()
    assert found() is None


def test_an_empty_variable_is_as_good_as_none(
    everywhere: tuple[KeyPlaces, dict[str, str]],
) -> None:
    where, environment = everywhere
    environment[VARIABLE] = ""
    key = where.find()
    assert key is not None
    assert key.source == "Colab's secrets"


def test_a_key_that_cannot_be_stops_the_search(
    everywhere: tuple[KeyPlaces, dict[str, str]],
) -> None:
    """Another account's key must not be taken instead."""
    where, environment = everywhere
    environment[VARIABLE] = "two words"
    with pytest.raises(ConfigError):
        where.find()


def test_the_real_places(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    where = places(home)
    assert (where.folder, where.stored) == (tmp_path, home / "key")
    assert where.find() is None
    monkeypatch.setenv(VARIABLE, KEY)
    found = where.find()
    assert found is not None
    assert found.source == VARIABLE


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (f"{VARIABLE}={KEY}", KEY),
        (f"{VARIABLE}={KEY}\r\n", KEY),
        (f"export {VARIABLE}={KEY}", KEY),
        (f"  export   {VARIABLE} = {KEY}  ", KEY),
        (f'{VARIABLE}="{KEY}"', KEY),
        (f"{VARIABLE}='{KEY}'", KEY),
        (f"{VARIABLE}={KEY}= # of the team", f"{KEY}="),
        (f'{VARIABLE}="{KEY}" # of the team', KEY),
        (f"{VARIABLE}=a#b", "a#b"),
        (f"{VARIABLE}=a=b==", "a=b=="),
        (f"\ufeff{VARIABLE}={KEY}", KEY),
        (f"# keys\n\nOTHER=1\n{VARIABLE}={KEY}\nMORE=2\n", KEY),
        (f"{VARIABLE}=first\n{VARIABLE}=second", "first"),
        (f"#{VARIABLE}={KEY}", None),
        (f"MY_{VARIABLE}={KEY}", None),
        (f"{VARIABLE}2={KEY}", None),
        (f"{VARIABLE}", None),
        (f"{VARIABLE}=", None),
        (f"{VARIABLE}=''", None),
        (f"{VARIABLE}= # to be filled in", None),
        ("", None),
    ],
)
def test_each_form_of_a_dotenv_file(text: str, key: str | None, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(text.encode())
    assert from_dotenv(file) == key


def test_a_dotenv_that_cannot_be_read_has_no_key(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xff\xfeM\x00")
    assert from_dotenv(tmp_path / ".env") is None
    assert from_dotenv(tmp_path) is None
    assert from_dotenv(tmp_path / "none") is None


@pytest.mark.parametrize("value", [None, ""])
def test_colab_may_have_none(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert from_colab() is None
    colab(monkeypatch, {VARIABLE: value}.get)
    assert from_colab() is None


def test_colab_may_say_no(monkeypatch: pytest.MonkeyPatch) -> None:
    def no(name: str) -> str:
        raise PermissionError(name)

    colab(monkeypatch, no)
    assert from_colab() is None


@pytest.mark.parametrize("mood", ["keeps", "refuses"])
def test_a_keyring_without_the_key_is_no_error(mood: str, keyring: FakeKeyring) -> None:
    keyring.mood = mood
    assert from_keyring() is None


def test_no_keyring_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert from_keyring() is None


# -- which service may have it

ELSEWHERE = "https://api.other.test"


def test_a_key_of_the_environment_is_for_the_address_beside_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, KEY)
    assert find_key(home, DEFAULT_BASE_URL).reveal() == KEY
    with pytest.raises(ConfigError, match=ELSEWHERE):
        find_key(home, ELSEWHERE)
    monkeypatch.setenv("MODELLIX_BASE_URL", f"{ELSEWHERE}/")
    assert find_key(home, ELSEWHERE).reveal() == KEY
    with pytest.raises(ConfigError):
        find_key(home, DEFAULT_BASE_URL)


def test_the_address_of_the_environment_gets_no_key_of_another_place(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELLIX_BASE_URL", ELSEWHERE)
    store(SecretKey(KEY, "typed"), home / "key")
    with pytest.raises(ConfigError) as caught:
        find_key(home, ELSEWHERE)
    assert ELSEWHERE in caught.value.message
    assert "%modellix key" in caught.value.hint
    assert KEY not in str(caught.value)
    assert find_key(home, DEFAULT_BASE_URL).reveal() == KEY
    monkeypatch.delitem(sys.modules, "keyring")
    (tmp_path / ".env").write_text(f"{VARIABLE}=of-dotenv\n")
    with pytest.raises(ConfigError, match=r"a \.env file"):
        find_key(home, ELSEWHERE)


def test_another_service_is_asked_about_once(home: Path) -> None:
    store(SecretKey(KEY, "typed"), home / "key")
    answers = [False, True]
    asked: list[str] = []

    def confirm(_: SecretKey, origin: str) -> bool:
        asked.append(origin)
        return answers.pop(0)

    with pytest.raises(ConfigError):
        find_key(home, ELSEWHERE, confirm)
    assert find_key(home, ELSEWHERE, confirm).reveal() == KEY
    assert find_key(home, ELSEWHERE, confirm).reveal() == KEY
    assert asked == [ELSEWHERE] * 2
    with pytest.raises(ConfigError):
        find_key(home, "https://third.test")
    file = home / CONFIRMED
    assert KEY not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_confirmation_of_another_key_counts_for_nothing(home: Path) -> None:
    """A project that brings its own home cannot bring the user's yes with it."""
    store(SecretKey("the-attackers-own", "typed"), home / "key", ELSEWHERE)
    store(SecretKey(KEY, "typed"), home / "key")
    with pytest.raises(ConfigError):
        find_key(home, ELSEWHERE)


def test_a_stored_key_is_for_the_service_that_it_was_stored_for(home: Path) -> None:
    store(SecretKey(KEY, "typed"), home / "key", ELSEWHERE)
    assert find_key(home, ELSEWHERE).reveal() == KEY
    with pytest.raises(ConfigError):
        find_key(home, DEFAULT_BASE_URL)


def test_letters_that_only_look_alike_are_seen_to_be_others(home: Path) -> None:
    store(SecretKey(KEY, "typed"), home / "key")
    with pytest.raises(ConfigError, match=r"https://\\u0430pi.modellix.ai"):
        find_key(home, "https://\N{CYRILLIC SMALL LETTER A}pi.modellix.ai")


# -- where it is put


def test_a_key_is_kept_in_the_keyring(tmp_path: Path, keyring: FakeKeyring) -> None:
    assert store(SecretKey(KEY, "typed"), tmp_path / "key") == "the system keyring"
    assert list(keyring.kept.values()) == [KEY]
    assert not (tmp_path / "key").exists()
    found = KeyPlaces({}, tmp_path, tmp_path / "key").find()
    assert found is not None
    assert found.reveal() == KEY


@pytest.mark.parametrize("mood", ["refuses", "forgets"])
def test_or_in_a_file_of_the_owners_only(mood: str, tmp_path: Path, keyring: FakeKeyring) -> None:
    keyring.mood = mood
    path = tmp_path / "new" / "home" / "key"
    assert store(SecretKey(KEY, "typed"), path) == str(path)
    assert path.read_text() == KEY
    found = KeyPlaces({}, tmp_path, path).find()
    assert found is not None
    assert (found.reveal(), found.source) == (KEY, "the stored key file")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
@pytest.mark.parametrize("before", [None, 0o644, 0o666, 0o400])
def test_the_file_is_never_open_to_others(
    before: int | None, tmp_path: Path, keyring: FakeKeyring
) -> None:
    keyring.mood = "refuses"
    path = tmp_path / "key"
    if before is not None:
        path.write_text("an old key")
        path.chmod(before)
    store(SecretKey(KEY, "typed"), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == KEY


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_a_link_in_its_place_is_replaced_and_not_followed(
    tmp_path: Path, keyring: FakeKeyring
) -> None:
    keyring.mood = "refuses"
    target = tmp_path / "public.txt"
    target.write_text("public")
    (tmp_path / "key").symlink_to(target)
    store(SecretKey(KEY, "typed"), tmp_path / "key")
    assert target.read_text() == "public"
    assert not (tmp_path / "key").is_symlink()


def test_a_home_that_cannot_be_written_is_said_without_the_key(
    tmp_path: Path, keyring: FakeKeyring
) -> None:
    keyring.mood = "refuses"
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="cannot be stored") as caught:
        store(SecretKey(KEY, "typed"), tmp_path / "file" / "key")
    assert "MODELLIX_HOME" in caught.value.hint
    assert KEY not in str(caught.value)
