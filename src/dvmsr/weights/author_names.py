"""The authors' parameter names (https://github.com/nathan66666/DVMSR) and ours."""

from __future__ import annotations

import re

_BLOCK = r"layers\.(\d+)"
_RENAMES = tuple(
    (re.compile(pattern), ours)
    for pattern, ours in (
        (r"conv_first\.", "shallow."),
        (r"patch_embed\.norm\.", "token_norm."),
        (_BLOCK + r"\.residual_group\.blocks\.(\d+)\.mixer\.", r"blocks.\1.vimms.\2.mamba."),
        (_BLOCK + r"\.residual_group\.blocks\.(\d+)\.norm\.", r"blocks.\1.vimms.\2.norm."),
        (_BLOCK + r"\.conv\.", r"blocks.\1.conv."),
        (r"norm_f\.", "deep_norm."),
        (r"conv_after_body\.", "deep."),
        (r"upsample\.0\.", "reconstruct."),
    )
)


def is_author_file(names: set[str]) -> bool:
    """Whether these are the names of a state dict of the authors' release."""
    return "conv_first.weight" in names


def our_name(name: str) -> str:
    """Return our name for a parameter of the authors' release; other names come back as they are."""
    for pattern, ours in _RENAMES:
        if pattern.match(name):
            return pattern.sub(ours, name, count=1)
    return name
