"""Texts of foreign code, in which a secret may stand: what they say, without it."""

from __future__ import annotations

import enum
import re
import traceback
import typing
from collections.abc import Iterable, Iterator

from procession.mask import MASK
from procession.primitives.fields import bare
from procession.primitives.secrecy import fields_of, holds_secrets, is_class, is_secret


def told(text: str, *hands: object) -> str:
    """A text without the secrets of the messages and states in hand: what foreign code says may hold them."""
    return masked(text, spelt(value for hand in hands for value in secret_values(hand)))


def concealed(error: BaseException, *hands: object) -> BaseException:
    """An error of foreign code as whoever prints it may see it: itself, where it tells no secret of what is in hand.

    Else one of the same place whose text tells none, and so on for what led to it.
    """
    secrets = spelt(value for hand in hands for value in secret_values(hand))
    return _concealed(error, secrets, _CHAIN_MAX) if secrets and _tells(error, secrets, _CHAIN_MAX) else error


def _tells(error: BaseException, secrets: tuple[str, ...], left: int) -> bool:
    text = _text_of(error)
    if left == 0 or isinstance(error, BaseExceptionGroup) or masked(text, secrets) != text:
        return True
    before = error.__cause__ or error.__context__
    return before is not None and _tells(before, secrets, left - 1)


def _text_of(error: BaseException) -> str:
    # Without the traceback: that reads files, and this may run in a turn.
    return "".join(traceback.format_exception_only(error)).strip()


def _concealed(error: BaseException, secrets: tuple[str, ...], left: int) -> BaseException:
    found = Concealed(masked(_text_of(error), secrets)).with_traceback(error.__traceback__)
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and left:
        found.__cause__ = _concealed(before, secrets, left - 1)
    return found


class Concealed(Exception):  # noqa: N818 - it stands for an error of any kind
    """An error of foreign code that had secrets in hand: its kind, its place, and its text without them."""


_CHAIN_MAX = 20
"""Errors that led to one another; what is before them is left out."""


def secret_values(value: object) -> Iterator[str]:
    """The values of the secret fields of a message or state, and of what is nested in it, as texts."""
    if isinstance(value, tuple | frozenset):
        for item in value:
            yield from secret_values(item)
    elif is_class(type(value)):
        for name, annotation in fields_of(type(value)).items():
            yield from _secrets_of(getattr(value, name), annotation)


def _secrets_of(value: object, annotation: object) -> Iterator[str]:
    if is_secret(annotation):
        yield from _texts(value)
    elif isinstance(value, tuple | frozenset):
        if holds_secrets(annotation):
            inner = any(map(is_secret, typing.get_args(bare(annotation))))
            for item in value:
                yield from _texts(item) if inner else secret_values(item)
    else:
        yield from secret_values(value)


def _texts(value: object) -> Iterator[str]:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, tuple | frozenset | list | set):  # what does not fit its type is told of, too
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        yield from _texts((*value.keys(), *value.values()))
    elif is_class(type(value)):
        for name in fields_of(type(value)):
            yield from _texts(getattr(value, name))
    elif isinstance(value, enum.Enum):
        yield str(value.value)
        yield value.name
    elif isinstance(value, bytes):
        yield from (value.decode("utf-8", "replace"), value.hex(), repr(value)[2:-1])
    else:
        yield str(value)
        if not isinstance(value, str):
            yield repr(value)


def spelt(values: Iterable[str]) -> tuple[str, ...]:
    """Each value in the ways in which a text may hold it (quoted, escaped, percent-encoded), the longest first."""
    found = {way for value in set(values) for way in _ways(value)}
    return tuple(sorted((text for text in found if text.strip()), key=lambda text: (-len(text), text)))


def _ways(value: str) -> Iterator[str]:
    escaped = _JSON_ESCAPED.sub(lambda found: _JSON_ESCAPES.get(found[0], f"\\u{ord(found[0]):04x}"), value)
    quoted = _QUOTED.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "replace")), value)
    yield from (value, " ".join(value.split()), repr(value)[1:-1])
    yield from (escaped, _BEYOND_ASCII.sub(_as_utf16, escaped))
    yield from (quoted, quoted.replace("%20", "+"), quoted.replace("%2F", "/"))


def _as_utf16(found: re.Match[str]) -> str:
    # By hand, since this may run in a turn: the codec would be imported, which the guard tells of.
    code, beyond = ord(found[0]), ord(found[0]) - 0x10000
    return f"\\u{code:04x}" if beyond < 0 else f"\\u{0xD800 + (beyond >> 10):04x}\\u{0xDC00 + (beyond & 0x3FF):04x}"


_JSON_ESCAPED = re.compile(r'["\\\x00-\x1f]')
_JSON_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
_QUOTED = re.compile(r"[^\w.~-]", re.ASCII)
"""As the standard library's `json` and `quote` write them; those take long to load."""


def masked(text: str, secrets: Iterable[str]) -> str:
    """A text without these; a short one, which may be a part of any word, is masked where it stands alone."""
    for hidden in secrets:
        if len(hidden) >= _CHARS_MIN:
            text = text.replace(hidden, MASK)
        elif hidden in text:
            text = re.sub(rf"(?<!\w){re.escape(hidden)}(?!\w)", MASK, text)
    return text


_CHARS_MIN = 4
