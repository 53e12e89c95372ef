"""The authors' parameter names (https://github.com/nathan66666/DVMSR) and ours."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Theirs and ours; {} is the index of a block or of a ViMM in it. Names begin with these.
_PREFIXES = (
    ("conv_first.", "shallow."),
    ("patch_embed.norm.", "token_norm."),
    ("layers.{}.residual_group.blocks.{}.mixer.", "blocks.{}.vimms.{}.mamba."),
    ("layers.{}.residual_group.blocks.{}.norm.", "blocks.{}.vimms.{}.norm."),
    ("layers.{}.conv.", "blocks.{}.conv."),
    ("norm_f.", "deep_norm."),
    ("conv_after_body.", "deep."),
    ("upsample.0.", "reconstruct."),
)


def _pattern(prefix: str) -> re.Pattern[str]:
    return re.compile(re.escape(prefix).replace(r"\{\}", r"(\d+)"))


_TO_OURS = tuple((_pattern(theirs), ours) for theirs, ours in _PREFIXES)
_TO_THEIRS = tuple((_pattern(ours), theirs) for theirs, ours in _PREFIXES)


def is_author_file(names: Iterable[str]) -> bool:
    """Whether these are the names of a state dict of the authors' release."""
    return "conv_first.weight" in names


def our_name(name: str) -> str:
    """Return our name for a parameter of the authors' release; other names come back as they are."""
    return _renamed(name, _TO_OURS)


def author_name(name: str) -> str:
    """Return the name in the authors' release for a parameter of ours."""
    return _renamed(name, _TO_THEIRS)


def _renamed(name: str, prefixes: tuple[tuple[re.Pattern[str], str], ...]) -> str:
    for pattern, other in prefixes:
        if match := pattern.match(name):
            return other.format(*match.groups()) + name[match.end() :]
    return name
