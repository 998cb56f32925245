"""The command `procession`: reads the command line, runs one verb, turns errors into a sentence and an exit code."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence

from procession.daemon.arguments import VERBS, parse

_BY_SIGINT = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code. `--help` and a command line that can't be read end the process."""
    options = parse(arguments)
    try:
        code = _run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read us has enough. What is still buffered must not fail again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return _BY_SIGINT
    return code


def _run(options: argparse.Namespace) -> int:
    if options.version:
        return _print_version(as_json=options.json)
    if options.verb is None:
        sys.stderr.write("procession: name a verb; `procession --help` shows what there is\n")
        return 2
    from procession.daemon.output import output_for  # noqa: PLC0415 - only where a verb runs

    output = output_for(as_json=options.json, color=options.color, environ=os.environ)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Sentences())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    from procession.errors import ProcessionError  # noqa: PLC0415 - as above

    try:
        code: int = importlib.import_module(VERBS[options.verb]).run(options, output)
    except BrokenPipeError:
        raise
    except (ProcessionError, OSError) as error:
        return _refuse(error, options)
    return code


def _refuse(error: Exception, options: argparse.Namespace) -> int:
    """One sentence, for people or machines."""
    from procession.daemon.exit_codes import code_of  # noqa: PLC0415 - only where something went wrong
    from procession.daemon.output import output_for  # noqa: PLC0415 - as above
    from procession.mask import without_credentials  # noqa: PLC0415 - as above

    output = output_for(as_json=options.json, color=options.color, environ=os.environ)
    code = code_of(error)
    sentence = without_credentials(str(error) or type(error).__name__)
    if options.json:
        output.json({"error": sentence, "kind": getattr(error, "kind", type(error).__name__), "exit_code": int(code)})
    else:
        output.say(f"procession: {sentence}")
    return int(code)


class _Sentences(logging.Formatter):
    """The command's user gets sentences; whoever embeds the runtime configures logging as they like."""

    def format(self, record: logging.LogRecord) -> str:
        said = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            from procession.mask import without_credentials  # noqa: PLC0415 - as above

            said = without_credentials(f"{said}: {record.exc_info[1]}")
        return f"procession: {said}"


def _print_version(*, as_json: bool) -> int:
    import json  # noqa: PLC0415 - only where it is asked for
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - as above

    try:
        found = version("procession")
    except PackageNotFoundError:
        found = "unknown: it is not installed"
    sys.stdout.write((json.dumps({"version": found}) if as_json else f"procession {found}") + "\n")
    return 0
