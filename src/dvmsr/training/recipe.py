"""Recipes: TOML files that fill a :class:`TrainingConfig`, and what a run keeps of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_type_hints

from dvmsr.errors import ArgumentError
from dvmsr.training.settings import TrainingConfig

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Table = dict[str, dict[str, Any]]
"""The content of a recipe: sections of keys."""

# A run may go on with other values of these. ``monitor`` changes no weights. Of ``machine``, accelerator,
# devices, nodes, threads and cuda_graphs can change the weights' last bits, for sums are then taken in
# another order; the others change nothing.
_FREE_SECTIONS = ("monitor", "machine")
# Of these files the contents' fingerprints are compared instead.
_FREE_KEYS = ("data.hr", "data.lr", "teacher.weights", "teacher.outputs_folder", "run.initial_weights")
_PATH_KEYS = (*_FREE_KEYS, "monitor.validation", "machine.cache")


def read_recipe(path: Path) -> Table:
    """Read a recipe.

    Raises:
        ArgumentError: The file cannot be read or is not TOML of sections with keys.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ArgumentError(f"{path}: cannot read the recipe: {error.strerror}") from error
    except RecursionError as error:
        raise ArgumentError(f"{path}: nested too deeply for a recipe") from error
    except ValueError as error:  # TOML's, of characters, and of whole numbers of thousands of digits
        raise ArgumentError(f"{path}: not a TOML file: {error}") from error
    for section, values in content.items():
        if not isinstance(values, dict):
            raise ArgumentError(f"{path}: expected keys in sections like [run], got {section} outside of one")
    return content


def parse_overrides(texts: Iterable[str]) -> Table:
    """Read settings as ``--set`` takes them, ``section.key=value`` with the value as in TOML.

    A value that is not TOML is taken for a text, so that texts need no quotes.

    Raises:
        ArgumentError: One has another form.
    """
    table: Table = {}
    for text in texts:
        name, equals, value = text.partition("=")
        section, dot, key = name.strip().partition(".")
        if not (equals and dot):
            raise ArgumentError(f"expected section.key=value, e.g. run.steps=1000, got {text}")
        try:
            parsed = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            parsed = value
        except (RecursionError, ValueError) as error:
            raise ArgumentError(
                f"{name.strip()}: nested too deeply, or a number of too many digits"
            ) from error
        table.setdefault(section, {})[key] = parsed
    return table


def merge(*tables: Mapping[str, Mapping[str, Any]]) -> Table:
    """Lay tables over each other: the later one's keys win."""
    merged: Table = {}
    for table in tables:
        for section, values in table.items():
            merged.setdefault(section, {}).update(values)
    return merged


def make_paths_absolute(table: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return a table whose paths hold in every working directory; what is no path is left as it is."""
    absolute = merge(table)
    for name in _PATH_KEYS:
        section, _, key = name.partition(".")
        if key in absolute.get(section, {}):
            value = absolute[section][key]
            absolute[section][key] = [*map(_absolute, value)] if _is_list(value) else _absolute(value)
    return absolute


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _absolute(value: Any) -> Any:
    return str(Path(value).absolute()) if value and isinstance(value, str) else value


def make_config(table: Mapping[str, Mapping[str, Any]]) -> TrainingConfig:
    """Build the configuration that a table describes; what it leaves out has its default.

    Raises:
        ArgumentError: A section or key is unknown, or a value is refused; the message names it.
    """
    sections = get_type_hints(TrainingConfig)
    parts: dict[str, Any] = {}
    for section, values in table.items():
        if section not in sections:
            raise ArgumentError(f"unknown section {section}; expected one of {', '.join(sections)}")
        hints = get_type_hints(sections[section])
        if unknown := [key for key in values if key not in hints]:
            raise ArgumentError(f"unknown key {section}.{unknown[0]}; expected one of {', '.join(hints)}")
        try:
            parts[section] = sections[section](**values)
        except ArgumentError as error:
            raise ArgumentError(f"{section}.{error}") from error
    return TrainingConfig(**parts)


def to_table(config: TrainingConfig) -> Table:
    """Return the configuration as a table that :func:`make_config` takes back."""
    return asdict(config)


def to_toml(config: TrainingConfig) -> str:
    """Return the configuration as the text of a recipe."""
    lines = []
    for section, values in to_table(config).items():
        # JSON's texts, numbers, lists, true and false are TOML's too.
        lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items()), ""]
    return "\n".join(lines)


def differences(stored: TrainingConfig, wanted: TrainingConfig) -> list[str]:
    """Say, a phrase each, in which keys that change a run's result two configurations differ."""
    found = []
    for section in fields(TrainingConfig):
        if section.name in _FREE_SECTIONS:
            continue
        before, after = (asdict(getattr(config, section.name)) for config in (stored, wanted))
        found += [
            f"{section.name}.{key} is {json.dumps(after[key])}, was {json.dumps(value)}"
            for key, value in before.items()
            if value != after[key] and f"{section.name}.{key}" not in _FREE_KEYS
        ]
    return found
