"""What training scripts put around a network when they save it: containers and prefixes of names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# Keys that a state dict lies under, the better ones first: a moving average before the last step's weights.
_CONTAINERS = (
    "params_ema",
    "state_dict_ema",
    "model_ema",
    "ema",
    "params",
    "state_dict",
    "model_state_dict",
    "model",
    "net_g",
    "generator",
)
_MOST_CONTAINERS = 4
# What modules that hold a network call it: DataParallel, torch.compile, BasicSR, and scripts of many.
_PREFIX_PARTS = {
    "module",
    "_orig_mod",
    "net_g",
    "net_g_ema",
    "generator",
    "model",
    "model_ema",
    "ema",
    "ema_model",
    "network",
    "student",
}
# Beside it in such modules, and no part of it.
_COMPANIONS = {"net_d", "discriminator", "teacher", "teachers", "n_averaged"}
# Of the network's own parameters, one that ours and the authors' each have.
_LANDMARKS = ("shallow.weight", "conv_first.weight")


def unpack(content: Any) -> Any:
    """Return the state dict inside the containers that training scripts save, or what else is there."""
    for _ in range(_MOST_CONTAINERS):
        if not isinstance(content, Mapping):
            break
        inner = (content[key] for key in _CONTAINERS if isinstance(content.get(key), Mapping))
        content = next(inner, content)
    return content


def strip_prefix(names: Iterable[str]) -> dict[str, str]:
    """Take off the prefix that the names of a wrapped network have.

    Args:
        names: All names of a file.

    Returns:
        The names in the file by those without the prefix. Names of other modules that are trained beside a
        network are left out, and of two forms of it the moving average is taken; all else stays, as it is,
        to be refused: a part that was left out would make another network.
    """
    all_names = list(names)
    prefixes = {
        name.removesuffix(landmark)
        for name in all_names
        for landmark in _LANDMARKS
        if name.endswith(landmark) and _is_wrapping(name.removesuffix(landmark))
    }
    if not prefixes or "" in prefixes:
        return {name: name for name in all_names}
    chosen = max(prefixes, key=lambda prefix: ("ema" in prefix, prefix))
    others = tuple(prefixes - {chosen})
    return {
        name.removeprefix(chosen): name
        for name in all_names
        if name.startswith(chosen) or not (name.startswith(others) or _is_companion(name))
    }


def _is_wrapping(prefix: str) -> bool:
    return not prefix or (prefix.endswith(".") and set(prefix[:-1].split(".")) <= _PREFIX_PARTS)


def _is_companion(name: str) -> bool:
    return not _COMPANIONS.isdisjoint(name.split("."))
