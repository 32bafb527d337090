"""The prose of the package: first lines of docstrings, words that are no names, shapes of arrays, banned words."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "attneval"
FILES = sorted(PACKAGE.rglob("*.py"))

QUESTIONS = {"What", "Whether", "Which", "How", "Who", "Whose", "Why", "Where", "When"}
"""Words that begin a clause, where a noun phrase or an imperative belongs."""
NO_NAMES = {"own", "found", "theirs", "strange", "told", "flaw", "judged", "mention", "topic"}
"""Possessives and moods, and words that have a term of the glossary: none of them is part of a name."""
ARRAYS = re.compile(r"\b(NDArray|Tensor)\b")
SHAPE = re.compile(
    r"\[[^\]\[]*(?:,|[A-Za-z]|\.\.)[^\]\[]*\]|\bany shape\b|\b[Ss]calars?\b|\b(?:see|as in|as for) `\w+`"
)


def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def public(node: ast.AST) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """Public classes, functions and methods; what a function defines is no door."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and not child.name.startswith("_"):
            yield child
            if isinstance(child, ast.ClassDef):
                yield from public(child)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_docstrings_begin_with_a_noun_phrase_or_an_imperative(path: Path) -> None:
    tree = parsed(path)
    for node in (tree, *public(tree)):
        text = ast.get_docstring(node)
        name = getattr(node, "name", "the module")
        assert text is None or text.split()[0] not in QUESTIONS, f"{path.name}: {name}: {text.splitlines()[0]}"


def names(tree: ast.Module) -> Iterator[str]:
    """Every name that a module gives: of modules, classes, functions, arguments, variables and attributes."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_names_say_what_they_name(path: Path) -> None:
    for name in (path.stem, *names(parsed(path))):
        assert not NO_NAMES.intersection(re.sub("([A-Z])", r"_\1", name).lower().split("_")), f"{path.name}: {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_public_functions_that_take_arrays_give_shapes(path: Path) -> None:
    for node in public(parsed(path)):
        if isinstance(node, ast.ClassDef):
            continue
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        if any(a.annotation is not None and ARRAYS.search(ast.unparse(a.annotation)) for a in arguments):
            assert SHAPE.search(ast.get_docstring(node) or ""), f"{path.name} line {node.lineno}: {node.name}"
