"""Every Python block in README.md and docs runs, block after block as one module a page; its tests are called too.

A block that can't run is preceded by `<!-- no-run: reason -->`. A block may use `await` at its top level.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import attrs
import pytest
import trio

ROOT = Path(__file__).parent.parent
PAGES = sorted(page for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md")) if page.is_file())

FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[\w+-]*)[^\n]*\n(?P<code>.*?)^(?P=indent)```\s*$", re.DOTALL | re.MULTILINE
)
NO_RUN = re.compile(r"<!-- no-run:(?P<reason>[^>]*)-->\s*\Z")


@attrs.frozen
class Block:
    """One Python block of a page."""

    page: str
    line: int
    code: str
    skipped: str | None
    """Why it is not run."""


def blocks_of(page: str, text: str) -> Iterator[Block]:
    for fence in FENCE.finditer(text):
        if fence["language"] in ("python", "py"):
            mark = NO_RUN.search(text[: fence.start()])
            line = text.count("\n", 0, fence.start("code")) + 1
            yield Block(page, line, textwrap.dedent(fence["code"]), mark and mark["reason"].strip())


def run_page(name: str, text: str) -> int:
    """Run the blocks of a page as one module; the number of blocks that ran.

    Line numbers in tracebacks are those of the page.
    """
    module = ModuleType("page_" + re.sub(r"\W", "_", name))
    # As the interpreter does it for every module; 3.12 looks there for what a class body calls.
    vars(module)["__builtins__"] = builtins
    # Annotations are resolved by the module of their class, so the page must be one while it runs.
    sys.modules[module.__name__] = module
    try:
        blocks = [block for block in blocks_of(name, text) if block.skipped is None]
        for block in blocks:
            before = dict(vars(module))
            code = compile(
                "\n" * (block.line - 1) + block.code, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
            )
            _run(code, module)
            for key, value in list(vars(module).items()):
                if key.startswith("test_") and before.get(key) is not value and isinstance(value, FunctionType):
                    value()
        return len(blocks)
    finally:
        del sys.modules[module.__name__]


def _run(code: CodeType, module: ModuleType) -> None:
    function = FunctionType(code, vars(module))
    if code.co_flags & inspect.CO_COROUTINE:
        trio.run(function)
    else:
        function()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_code_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_page(page.relative_to(ROOT).as_posix(), page.read_text("utf-8")) >= 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_block_that_is_not_run_has_a_reason(page: Path) -> None:
    blocks = blocks_of(page.relative_to(ROOT).as_posix(), page.read_text("utf-8"))
    assert [f"{block.page}:{block.line}" for block in blocks if block.skipped == ""] == []


# The runner finds what fails.


def test_blocks_of_a_page_run_one_after_another() -> None:
    assert run_page("a.md", "```python\nx = 1\n```\n\n1. text\n\n   ```python\n   assert x == 1\n   ```\n") == 2


def test_a_block_may_wait_at_its_top_level() -> None:
    assert (
        run_page("a.md", "```python\nimport trio\nawait trio.sleep(0)\nx = 1\n```\n```python\nassert x == 1\n```\n")
        == 2
    )


def test_a_failing_block_is_found_with_its_line() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        run_page("a.md", "# Title\n\n```python\nx = 1\nx / 0\n```\n")
    assert caught.traceback[-1].lineno == 4
    assert str(caught.traceback[-1].frame.code.path) == "a.md"


def test_a_test_in_a_block_is_called() -> None:
    with pytest.raises(ZeroDivisionError):
        run_page("a.md", "```python\ndef test_x() -> None:\n    1 / 0\n```\n")


def test_other_languages_and_marked_blocks_are_left_out() -> None:
    text = "```bash\nfalse\n```\n<!-- no-run: needs a server -->\n```python\n1 / 0\n```\n"
    assert run_page("a.md", text) == 0
    assert [block.skipped for block in blocks_of("a.md", text)] == ["needs a server"]
