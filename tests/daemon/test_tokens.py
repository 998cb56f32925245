"""Tokens and their file: what is kept, what is refused, how it is replaced."""

from __future__ import annotations

import datetime
import os
import stat
import threading
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import pytest

from procession.daemon.tokens import (
    TokenBook,
    change_tokens,
    is_name,
    new_token,
    read_tokens,
    without_tokens,
)
from procession.errors import SettingsError

THEN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
LATER = THEN + datetime.timedelta(days=90)


def refusal(path: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        read_tokens(str(path))
    return str(caught.value)


def test_a_token_is_recognised_and_no_other(tmp_path: Path) -> None:
    (token, text), (other, _) = new_token("shop", "operator", THEN), new_token("bank", "reader", THEN)
    book = TokenBook((token, other))
    assert book.recognised(text) == token
    swapped = text.replace(token.id, other.id)
    for wrong in ("", text[:-1], f"{text}x", text.upper(), swapped, f"Bearer {text}", f"{text}\n", token.sha256):
        assert book.recognised(wrong) is None, wrong
    assert len({new_token("shop", "reader", THEN)[1] for _ in range(100)}) == 100


@pytest.mark.slow
@hypothesis.given(st.text())
def test_no_text_is_a_token(text: str) -> None:
    assert TokenBook((new_token("shop", "operator", THEN)[0],)).recognised(text) is None


def test_the_file_holds_no_token_and_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "tokens.toml"
    (shop, text), (bank, other) = new_token("shop", "operator", THEN, LATER), new_token("b@nk.example", "reader", THEN)
    change_tokens(str(path), lambda known: (*known, shop, bank))
    assert read_tokens(str(path)).tokens == (shop, bank)
    assert [secret for secret in (text, other) if secret.split("_", 2)[2] in path.read_text()] == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in tmp_path.iterdir()] == ["tokens.toml"]


def test_a_token_expires_at_its_time() -> None:
    token = new_token("shop", "operator", THEN, LATER)[0]
    assert not token.expired(LATER - datetime.timedelta(microseconds=1))
    assert token.expired(LATER)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o777])
def test_a_file_that_others_may_use_is_refused_with_the_cure(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "tokens.toml"
    change_tokens(str(path), lambda _: ())
    path.chmod(mode)
    assert f"which others may use (mode {mode:04o}); chmod 600 {path}" in refusal(path)
    with pytest.raises(SettingsError, match="others may use"):
        change_tokens(str(path), lambda known: known)


ROW = (
    f'[[token]]\nname = "a"\nrole = "reader"\nid = "00000000"\nsha256 = "{"0" * 64}"\nadded_at = 2026-01-01T00:00:00Z\n'
)


@pytest.mark.parametrize(
    "text",
    [
        "[[token",
        "token = 1",
        "tokens = []",
        "[token]\nname = 'a'",
        ROW.replace("reader", "root"),
        ROW.replace('"a"', '"a b"'),
        ROW.replace('"a"', '""'),
        ROW.replace("0" * 64, "0" * 63),
        ROW.replace("00:00:00Z", "00:00:00"),
        ROW.replace("2026-01-01T00:00:00Z", '"2026"'),
        ROW.replace('role = "reader"\n', ""),
        ROW + "expires_at = true\n",
        ROW + "admin = true\n",
        ROW + ROW,
    ],
)
def test_a_file_that_does_not_fit_is_refused_whole(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tokens.toml"
    path.touch(mode=0o600)
    path.write_text(text)
    assert "http.tokens: is" in refusal(path)


def test_the_row_of_these_tests_fits(tmp_path: Path) -> None:
    path = tmp_path / "tokens.toml"
    path.touch(mode=0o600)
    path.write_text(ROW)
    assert [token.name for token in read_tokens(str(path)).tokens] == ["a"]


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert "which is not there; make one by `procession token add" in refusal(tmp_path / "none")
    assert "is no file" in refusal(tmp_path)
    with pytest.raises(SettingsError, match="can't be written"):
        change_tokens(str(tmp_path / "none" / "tokens.toml"), lambda _: ())


def test_what_is_refused_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "tokens.toml"
    shop = new_token("shop", "operator", THEN)[0]
    change_tokens(str(path), lambda _: (shop,))

    def refuse(known: object) -> tuple[()]:
        raise LookupError

    with pytest.raises(LookupError):
        change_tokens(str(path), refuse)
    assert read_tokens(str(path)).tokens == (shop,)


def test_a_link_is_kept_and_what_it_names_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "tokens.toml"
    link.symlink_to(tmp_path / "real" / "tokens.toml")
    change_tokens(str(link), lambda _: (new_token("shop", "operator", THEN)[0],))
    assert link.is_symlink()
    assert [token.name for token in read_tokens(str(tmp_path / "real" / "tokens.toml")).tokens] == ["shop"]


def test_two_that_add_at_once_both_do(tmp_path: Path) -> None:
    path = str(tmp_path / "tokens.toml")

    def add(name: str) -> None:
        change_tokens(path, lambda known: (*known, new_token(name, "reader", THEN)[0]))

    threads = [threading.Thread(target=add, args=(f"t{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {token.name for token in read_tokens(path).tokens} == {f"t{number}" for number in range(8)}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_file_that_root_makes_is_the_folder_owners(tmp_path: Path) -> None:
    os.chown(tmp_path, 4711, 4712)
    path = tmp_path / "tokens.toml"
    change_tokens(str(path), lambda _: ())
    assert (path.stat().st_uid, path.stat().st_gid) == (4711, 4712)
    os.chown(tmp_path, 0, 0)
    change_tokens(str(path), lambda _: ())
    assert (path.stat().st_uid, path.stat().st_gid) == (4711, 4712)


@pytest.mark.parametrize("name", ["", "-a", "a b", 'a"', "a\n", "ä", "x" * 64])
def test_what_can_not_be_a_name_is_none(name: str) -> None:
    assert not is_name(name)


def test_tokens_in_a_text_are_cut() -> None:
    text = new_token("shop", "operator", THEN)[1]
    assert without_tokens(f"/v1/{text}/x") == f"/v1/{text[:20]}…/x"
    assert without_tokens("/v1/flows/order/421") == "/v1/flows/order/421"
