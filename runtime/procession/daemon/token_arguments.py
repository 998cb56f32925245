"""The options of `procession token`; nothing but argparse is imported here, as in `arguments`."""

from __future__ import annotations

import argparse
from collections.abc import Callable

ROLES = ("reader", "operator", "admin")


def add_token(verb: Callable[[str, str], argparse.ArgumentParser], everywhere: argparse.ArgumentParser) -> None:
    """The verb `token` with its acts."""
    acts = verb("token", "Say who may call over HTTP: add, list and revoke tokens.").add_subparsers(
        dest="act", metavar="ACT", title="acts", required=True
    )
    for name, help_text in (
        ("add", "Make a token and print it, once."),
        ("ls", "List the tokens by name, role and end; none is shown whole."),
        ("revoke", "Take a token away: it is refused from the next request on, and the streams that it opened end."),
    ):
        act: argparse.ArgumentParser = acts.add_parser(
            name, help=help_text, description=help_text, parents=[everywhere], allow_abbrev=False
        )
        if name != "ls":
            whose = (
                "of who calls with it; it stands in the journal as who acted" if name == "add" else "its name, or id"
            )
            act.add_argument("name", metavar="NAME", help=whose)
            act.add_argument("--by", metavar="NAME", help="who does this; default: you, at this host")
        if name == "add":
            act.add_argument("--role", required=True, choices=ROLES, help="each may also what those before it may")
            act.add_argument("--expires", metavar="AGE", help="how long it lasts: 12h, 90d; default: until revoked")
