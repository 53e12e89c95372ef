"""docs/promises.md: every sentence names its tests, and they exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "promises.md"


def promises():
    """The items of the page's lists, each on one line."""
    items = re.split(r"^- ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return [" ".join(re.split(r"^#", item, flags=re.MULTILINE)[0].split()) for item in items]


def functions_of(file):
    """Names of the functions in a file of tests, those of classes included."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_there_are_promises():
    assert len(promises()) > 20


@pytest.mark.parametrize("promise", promises(), ids=lambda promise: promise[:50])
def test_promise_names_its_tests(promise):
    sentence, *_ = promise.partition(" `tests/")
    assert sentence.endswith(".")
    assert "`tests/" not in sentence
    named = re.findall(r"`(tests/\S+?)::(test_\w+)`", promise)
    # Nothing behind the sentence is anything else.
    assert promise == " ".join([sentence, *(f"`{file}::{name}`" for file, name in named)])
    assert named
    for file, name in named:
        assert name in functions_of(ROOT / file), f"there is no {name} in {file}"


def test_the_readme_leads_to_them():
    assert "(docs/promises.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
