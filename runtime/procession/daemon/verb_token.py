"""`procession token add|ls|revoke`: who may call over HTTP. A token is shown once, when it is made."""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Sequence

import trio

from procession.daemon.configuration import Configuration, configured
from procession.daemon.durations import now_us, parse_age
from procession.daemon.exit_codes import AskedRefused, OwnerGone, UsageRefused
from procession.daemon.local_client import owner_of
from procession.daemon.output import Output
from procession.daemon.tokens import TOKENS_MAX, Token, change_tokens, is_name, new_token, read_tokens
from procession.daemon.verb_repair import whoever
from procession.errors import ActRefused, NotFound
from procession.journal_errors import JournalOwned

_US = 1_000_000
_DAYS_MAX = 36_500


def run(options: argparse.Namespace, output: Output) -> int:
    """Change the file of the tokens, or list it; a running owner is told, records it and heeds it at once."""
    configuration = configured(options)
    path = configuration.settings.http.tokens
    if path is None:
        raise UsageRefused(
            "the configuration names no file for tokens", 'write `tokens = "tokens.toml"` under [http] in it'
        )
    if options.act == "ls":
        _list(output, path)
    else:
        (_add if options.act == "add" else _revoke)(options, output, configuration, path)
    return 0


def _add(options: argparse.Namespace, output: Output, configuration: Configuration, path: str) -> None:
    if not is_name(options.name):
        raise UsageRefused(
            f"{options.name!r} can't be the name of a token",
            "use up to 63 letters, digits, dots, dashes, underscores and @, a letter or digit first",
        )
    now = _now()
    token, text = new_token(options.name, options.role, now, _expiry(now, options.expires))

    def change(known: tuple[Token, ...]) -> Sequence[Token]:
        if any(one.name == token.name for one in known):
            raise ActRefused(
                "token add", token.name, "there is one of that name; revoke it first, or take another name"
            )
        if len(known) >= TOKENS_MAX:
            raise ActRefused("token add", token.name, f"there are {TOKENS_MAX:,}, which is all; revoke some first")
        return (*known, token)

    change_tokens(path, change)
    if output.as_json:
        output.json({**_shown(token, now), "token": text})
    else:
        output.line(text)
        output.say(f"the token of {token.name}, {token.role}, {_lasting(token)}; it is shown this once, keep it well")
    _tell(options, output, configuration, "added", token)


def _revoke(options: argparse.Namespace, output: Output, configuration: Configuration, path: str) -> None:
    gone: list[Token] = []

    def change(known: tuple[Token, ...]) -> Sequence[Token]:
        gone.extend(one for one in known if options.name in (one.name, one.id))
        if not gone:
            raise NotFound("token", options.name, "`procession token ls` lists them")
        return [one for one in known if one not in gone]

    change_tokens(path, change)
    for token in gone:
        if output.as_json:
            output.json({"name": token.name, "id": token.id, "revoked": True})
        else:
            output.line(f"the token of {token.name} is revoked")
        _tell(options, output, configuration, "revoked", token)


def _list(output: Output, path: str) -> None:
    tokens, now = read_tokens(path).tokens, _now()
    if output.as_json:
        output.json({"tokens": [_shown(token, now) for token in tokens]})
        return
    rows = [(one.name, one.role, f"procession_{one.id}_…", _iso(one.added_at), _state(one, now)) for one in tokens]
    output.table(("NAME", "ROLE", "BEGINS WITH", "ADDED", "EXPIRES"), rows)
    if not tokens:
        output.say("there are no tokens; `procession token add NAME --role reader` makes one")


def _tell(options: argparse.Namespace, output: Output, configuration: Configuration, act: str, token: Token) -> None:
    """Have the owner record and heed it. The file is what counts: one that can't be told reads it by itself."""
    by: str = options.by or whoever()
    expires_at = _iso(token.expires_at) if token.expires_at else ""

    async def ask() -> bool:
        owner = owner_of(configuration.journal)
        if owner is None:
            return False
        asked = {"act": act, "token": token.name, "id": token.id, "role": token.role}
        return bool((await owner.ask("token", **asked, expires_at=expires_at, by=by))["in_force"])

    try:
        if trio.run(ask):
            output.say(f"recorded by {by}; in force at once")
    except (AskedRefused, JournalOwned, OwnerGone, OSError) as error:
        output.say(f"the owner of the journal did not record it: {error}; it takes notice of the file within a second")


def _expiry(now: datetime.datetime, age: str | None) -> datetime.datetime | None:
    if age is None:
        return None
    seconds = parse_age(age)
    if not 0 < seconds <= _DAYS_MAX * 86_400:
        raise UsageRefused(f"--expires {age} is out of bounds", f"let it last at most {_DAYS_MAX}d")
    return now + datetime.timedelta(seconds=seconds)


def _shown(token: Token, now: datetime.datetime) -> dict[str, object]:
    return {
        "name": token.name,
        "role": token.role,
        "id": token.id,
        "added_at": _iso(token.added_at),
        "expires_at": _iso(token.expires_at) if token.expires_at else None,
        "expired": token.expired(now),
    }


def _state(token: Token, now: datetime.datetime) -> str:
    if token.expires_at is None:
        return "never"
    return f"{_iso(token.expires_at)}{' (over)' if token.expired(now) else ''}"


def _lasting(token: Token) -> str:
    return f"valid until {_iso(token.expires_at)}" if token.expires_at else "valid until it is revoked"


def _iso(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _now() -> datetime.datetime:
    """In whole seconds, as the file keeps it."""
    return datetime.datetime.fromtimestamp(now_us() // _US, datetime.UTC)
