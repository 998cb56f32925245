"""Where a class or method stands in its author's code, for errors that name file and line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType, FrameType

_PACKAGE = __name__.split(".", maxsplit=1)[0]


def class_site() -> str:
    """File and line of the class statement that is running now, outside this package."""
    frame = _defining_frame()
    return "unknown:0" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


def function_site(function: Callable[..., object]) -> str:
    """File and line where a function is defined."""
    code: CodeType = function.__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


def defining_locals() -> dict[str, object]:
    """The local names of the function in which a class is being defined; empty at the top of a module."""
    frame = _defining_frame()
    return {} if frame is None or frame.f_locals is frame.f_globals else dict(frame.f_locals)


def _defining_frame() -> FrameType | None:
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the class does not exist yet, only its frame does
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.split(".", maxsplit=1)[0] not in (_PACKAGE, "attr", "attrs"):
            return frame
        frame = frame.f_back
    return None  # pragma: no cover - whatever defines a class has a frame outside of this package
