"""Tokens: who may call over HTTP, and as what. Their file holds what recognises a token, never a token."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import hashlib
import hmac
import os
import re
import secrets
import stat
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs

from procession.errors import SettingsError

Role = Literal["reader", "operator", "admin"]
"""A reader sees, an operator acts, an admin changes who may; each may also what those before it may."""
ROLES: tuple[Role, ...] = ("reader", "operator", "admin")
TOKENS_MAX = 10_000
_FILE_BYTES_MAX = 8_388_608
_SECRET_BYTES = 32
_ID_BYTES = 4
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")
_ID = re.compile(r"[0-9a-f]{8}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TEXT = re.compile(r"procession_([0-9a-f]{8})_[A-Za-z0-9_-]{43}")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_HEAD = "# Written by `procession token`. It holds no token, only what recognises one; nobody else may read it.\n"
_NOBODY = bytes(32)


@attrs.frozen
class Token:
    """What is known of one token."""

    name: str
    """Who calls with it; it stands in the journal as who acted."""
    role: Role
    id: str
    """Its beginning, by which people tell one from another."""
    sha256: str
    # A slow hash is for what people can remember: it makes guessing dear. Nobody guesses 256 bits of chance, at any
    # price, so a plain SHA-256 keeps them as well, and costs a request a microsecond.
    added_at: datetime.datetime
    expires_at: datetime.datetime | None = None
    """None: it lasts until it is revoked."""

    def expired(self, at: datetime.datetime) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and at >= self.expires_at


@attrs.frozen
class TokenBook:
    """All tokens that are known at one moment."""

    tokens: tuple[Token, ...]
    _by_id: Mapping[str, Token] = attrs.field(
        init=False, default=attrs.Factory(lambda book: {token.id: token for token in book.tokens}, takes_self=True)
    )

    def recognised(self, text: str) -> Token | None:
        """The token that this text is; None where it is none of ours. How long it takes tells nothing of the secret."""
        read = _TEXT.fullmatch(text)
        token = self._by_id.get(read[1]) if read else None
        known = bytes.fromhex(token.sha256) if token else _NOBODY
        return token if hmac.compare_digest(hashlib.sha256(text.encode()).digest(), known) else None

    def still(self, token: Token) -> bool:
        """Whether this very token is known."""
        return self._by_id.get(token.id) == token


def new_token(
    name: str, role: Role, added_at: datetime.datetime, expires_at: datetime.datetime | None = None
) -> tuple[Token, str]:
    """A token, and its text, which is kept nowhere."""
    id = secrets.token_hex(_ID_BYTES)
    text = f"procession_{id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    return Token(name, role, id, hashlib.sha256(text.encode()).hexdigest(), added_at, expires_at), text


def without_tokens(text: str) -> str:
    """A text in which every token is replaced by its beginning: for logs and for what others may see."""
    return _TEXT.sub(r"procession_\1_…", text)


def is_name(text: str) -> bool:
    """Whether a token may be called so."""
    return bool(_NAME.fullmatch(text))


# The file.


def read_tokens(path: str) -> TokenBook:
    """The tokens of a file.

    Raises:
        SettingsError: it is not there, others may read it, or it can't be read.
    """
    try:
        opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        cure = "make one by `procession token add NAME --role admin`"
        raise SettingsError("http.tokens", f"is {path}, which is not there", cure) from None
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        mode = os.fstat(opened).st_mode
        if not stat.S_ISREG(mode):
            raise SettingsError("http.tokens", f"is {path}, which is no file", "name a file")
        if mode & _OTHERS:
            found = f"is {path}, which others may use (mode {stat.S_IMODE(mode):04o})"
            raise SettingsError("http.tokens", found, f"chmod 600 {path}")
        with os.fdopen(opened, "rb", closefd=False) as file:
            data = file.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise _unreadable(path, error) from error
    finally:
        os.close(opened)
    if len(data) > _FILE_BYTES_MAX:
        raise _unfit(path, f"has over {_FILE_BYTES_MAX:,} bytes")
    try:
        return TokenBook(tuple(_tokens_in(path, tomllib.loads(data.decode()))))
    except ValueError as error:
        raise _unfit(path, f"is no TOML: {error}") from None


def _unreadable(path: str, error: OSError) -> SettingsError:
    found = f"is {path}, which can't be read: {error.strerror}"
    return SettingsError("http.tokens", found, "let its owner be who runs this")


def change_tokens(path: str, change: Callable[[tuple[Token, ...]], Sequence[Token]]) -> None:
    """Write a changed file in place of the one that is there, at once; another that changes it meanwhile waits.

    Raises:
        SettingsError: as `read_tokens`, but that it may be missing; or it can't be written.
        What `change` raises: nothing was written.
    """
    path = os.path.realpath(path)
    folder = Path(path).parent
    try:
        with _locked(folder):
            known = read_tokens(path).tokens if Path(path).exists() else ()
            _replace(Path(path), _text_of(change(known)))
    except OSError as error:
        found = f"is {path}, which can't be written: {error.strerror}"
        raise SettingsError("http.tokens", found, f"let {folder} be there, and yours to write") from error


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The folder itself is locked: a file that is replaced can't be."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
        os.fsync(opened)
    finally:
        os.close(opened)


def _replace(path: Path, text: str) -> None:
    """Where root writes, the file is that of who owned it, or of who owns its folder: their service is to read it."""
    owner = (path if path.exists() else path.parent).stat()
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    opened = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(opened, "w", encoding="utf-8") as file:
            if os.geteuid() == 0:
                os.fchown(opened, owner.st_uid, owner.st_gid)
            file.write(text)
            file.flush()
            os.fsync(opened)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def _text_of(tokens: Sequence[Token]) -> str:
    """As TOML; no value needs escaping: names and ids are of few characters."""
    lines = [_HEAD]
    for token in tokens:
        lines += [
            "[[token]]",
            f'name = "{token.name}"',
            f'role = "{token.role}"',
            f'id = "{token.id}"',
            f'sha256 = "{token.sha256}"',
            f"added_at = {token.added_at.isoformat(timespec='seconds')}",
            *([f"expires_at = {token.expires_at.isoformat(timespec='seconds')}"] if token.expires_at else []),
            "",
        ]
    return "\n".join(lines)


def _tokens_in(path: str, table: Mapping[str, Any]) -> Iterator[Token]:
    rows = table.get("token", [])
    if set(table) - {"token"} or not isinstance(rows, list) or len(rows) > TOKENS_MAX:
        raise _unfit(path, f"holds something else than at most {TOKENS_MAX:,} tables [[token]]")
    names: set[str] = set()
    ids: set[str] = set()
    for number, row in enumerate(rows, 1):
        token = _token_of(row)
        if token is None or token.name in names or token.id in ids:
            raise _unfit(path, f"has a [[token]], the {number}., that does not fit, or that is there twice")
        names.add(token.name)
        ids.add(token.id)
        yield token


def _token_of(row: object) -> Token | None:
    fields = attrs.fields_dict(Token)
    if not isinstance(row, dict) or not {*row} <= {*fields} or not {*fields} - {"expires_at"} <= {*row}:
        return None
    texts = (("name", _NAME), ("id", _ID), ("sha256", _SHA256))
    fit = all(isinstance(row[name], str) and shape.fullmatch(row[name]) for name, shape in texts)
    times = [row["added_at"], *([row["expires_at"]] if "expires_at" in row else [])]
    aware = all(isinstance(time, datetime.datetime) and time.tzinfo is not None for time in times)
    return Token(**row) if fit and aware and row["role"] in ROLES else None


def _unfit(path: str, found: str) -> SettingsError:
    return SettingsError("http.tokens", f"is {path}, which {found}", "revoke and add tokens by `procession token`")
