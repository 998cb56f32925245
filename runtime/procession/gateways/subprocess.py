"""Commands as runs of a program: words, never a shell; a command's data as JSON in, an event as JSON out."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, TypeVar, dataclass_transform

import attrs

from procession.errors import Refused
from procession.gateways.program import Ended, Program, TooMuchOutputError
from procession.gateways.reading import Readable
from procession.gateways.secrecy import secrets_in
from procession.primitives.codec import to_json
from procession.primitives.command import Command
from procession.primitives.converters import plain_values
from procession.primitives.gateway import Attempt, AttemptFailed, Gateway
from procession.primitives.telling import masked

T = TypeVar("T")
_COMPLAINT_CHARS_MAX = 160
_OUTPUT_BYTES_LIMIT = 1_073_741_824
_KILL_AFTER_S_LIMIT = 60


def _is_number_up_to(most: float) -> Any:  # noqa: ANN401 - an attrs validator
    def check(_: object, field: attrs.Attribute[Any], value: float) -> None:
        if not 0 < value <= most:
            msg = f"{field.name} is {value}; give more than 0, at most {most:g}"
            raise ValueError(msg)

    return check


@attrs.frozen(kw_only=True)
class ProgramPolicy:
    """How one gateway runs programs. The time for a whole attempt is the gateway's own `timeout_s`."""

    environment: tuple[str, ...] = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")
    """Names of the variables of this process that a program gets to see; all others are kept from it."""
    refusals: frozenset[int] = frozenset()
    """Exit codes by which a program says no for good. 0 answers; after any other code it is tried again."""
    output_bytes_max: int = attrs.field(default=1_048_576, validator=_is_number_up_to(_OUTPUT_BYTES_LIMIT))
    """A program that writes more is killed, and gave no answer."""
    kill_after_s: float = attrs.field(default=2.0, validator=_is_number_up_to(_KILL_AFTER_S_LIMIT))
    """Cut short, a program's group is told to end (SIGTERM), and is killed if it has not after so long."""


@attrs.frozen
class ProgramOutput(Readable):
    """What a program wrote that ended with 0."""

    output: bytes = attrs.field(repr=False)
    _by: str

    def _written(self) -> tuple[bytes, str]:
        return self.output, f"{self._by} ended"


@dataclass_transform(field_specifiers=(attrs.field,))
class SubprocessGateway(Gateway, abstract=True):
    """A gateway whose work is done by a program. A method for each command runs it, and makes its output an event.

        class Press(SubprocessGateway, name="press", timeout_s=60, program=ProgramPolicy(refusals=frozenset({3}))):
            async def render(self, command: RenderPage, attempt: Attempt) -> PageRendered:
                done = await self.run(attempt, ["render", "--page", command.page_id], stdin=command)
                return done.read(PageRendered)

    A program finds the command's id, which is the same at every attempt, in `PROCESSION_COMMAND_ID`, the attempt's
    number in `PROCESSION_ATTEMPT`, and the trace in `TRACEPARENT`.

    Args:
        program: how it runs programs.
        options: as of any gateway.
    """

    __program__: ClassVar[ProgramPolicy] = ProgramPolicy()

    def __init_subclass__(cls, *, program: ProgramPolicy | None = None, **options: Any) -> None:  # noqa: ANN401 - Gateway's
        super().__init_subclass__(**options)
        if program is not None:
            cls.__program__ = program

    async def run(
        self,
        attempt: Attempt,
        words: Sequence[str],
        *,
        stdin: object = None,
        environment: Mapping[str, str] | None = None,
        folder: Path | str | None = None,
    ) -> ProgramOutput:
        """Run a program to its end, and return what it wrote.

        Args:
            attempt: the attempt that this is part of.
            words: the program and its arguments, each a word of its own; no shell reads them.
            stdin: what it gets on its standard input: a command or plain data as JSON, or bytes as they are.
            environment: further variables. Their values are never shown, and may be secret.
            folder: where it runs; default: where this process does.

        Raises:
            Refused: it ended with a code that the policy names; the command is given up.
            AttemptFailed: it can't be started, ended by a signal or with another code, or wrote too much.

        Cancellation: as at the attempt's time-out, its whole process group is ended, and waited for.
        """
        if isinstance(words, str):
            raise TypeError(f"{words!r} is one text; give the program and each of its arguments as words of a list")
        if not words:
            raise ValueError("there is no program to run; give it and each of its arguments as words of a list")
        policy, name, added = self.__program__, Path(words[0]).name or words[0], dict(environment or {})
        program = Program(
            words,
            self._environment(attempt, added),
            None if folder is None else Path(folder),
            _as_bytes(stdin),
            policy.output_bytes_max,
            policy.kill_after_s,
        )
        try:
            ended = await program.run()
        except (OSError, ValueError) as error:
            raise AttemptFailed(f"{name} can't be started: {_reason(error)}") from None
        except TooMuchOutputError:
            raise AttemptFailed(f"{name} wrote more than {policy.output_bytes_max} bytes (output_bytes_max)") from None
        return self._judged(name, ended, secrets_in((), added.values(), public=""))

    def _environment(self, attempt: Attempt, added: Mapping[str, str]) -> dict[str, str]:
        handed_on = {name: os.environ[name] for name in self.__program__.environment if name in os.environ}
        trace = {"TRACEPARENT": attempt.trace} if attempt.trace else {}
        ours = {"PROCESSION_COMMAND_ID": attempt.command_id, "PROCESSION_ATTEMPT": str(attempt.number)}
        return {**handed_on, **added, **trace, **ours}

    def _judged(self, name: str, ended: Ended, secrets: Sequence[str]) -> ProgramOutput:
        if ended.code == 0:
            return ProgramOutput(ended.output, name)
        how = f"was ended by signal {-ended.code}" if ended.code < 0 else f"ended with code {ended.code}"
        complaint = masked(" ".join(ended.complaint.decode("utf-8", "replace").split()), secrets)
        found = f"{name} {how}" + (f": {complaint[-_COMPLAINT_CHARS_MAX:]}" if complaint else "")
        if ended.code in self.__program__.refusals:
            raise Refused(found)
        raise AttemptFailed(found)


def _as_bytes(stdin: object) -> bytes:
    if stdin is None:
        return b""
    if isinstance(stdin, bytes):
        return stdin
    return to_json(plain_values()(stdin, type(stdin)) if isinstance(stdin, Command) else stdin)


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)
