"""The pins of constraints.txt for every Python that the package is for."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
PINS = [
    Requirement(line)
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
PYTHONS = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', PYPROJECT)


def test_pythons_are_those_that_can_install_it():
    (required,) = re.findall(r'^requires-python = "(.*)"$', PYPROJECT, re.MULTILINE)
    assert all(version in SpecifierSet(required) for version in PYTHONS)
    assert PYTHONS[0] == "3.10"


@pytest.mark.parametrize("python", PYTHONS)
def test_each_package_has_one_version(python):
    environment = {"python_version": python}
    valid = [pin for pin in PINS if pin.marker is None or pin.marker.evaluate(environment)]
    assert all(re.fullmatch(r"==[\w.]+", str(pin.specifier)) for pin in valid)
    assert {name: count for name, count in Counter(pin.name for pin in valid).items() if count > 1} == {}
    # Only what Python 3.11 has of its own may be missing.
    assert {pin.name for pin in PINS} - {pin.name for pin in valid} <= {"tomli"}
