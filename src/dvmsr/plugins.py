"""What people bring of their own, named as ``module:name``: a loss, a teacher, a network to score.

The module is looked for where Python looks, and in the working directory, as for a script there.
"""

from __future__ import annotations

import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dvmsr.errors import ArgumentError, DvmsrError, is_lack_of_memory, setting

_FORM = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def load_plugin(name: str, key: str) -> Callable[..., Any]:
    """Import what ``module:name`` names; the name may have dots, as in ``module:Class.method``.

    Args:
        name: The module and, after a colon, a function, class or other object that can be called.
        key: The setting or option that names it, for messages.

    Returns:
        The object.

    Raises:
        ArgumentError: The name has another form, there is no such module or object, the module cannot be
            imported, or the object cannot be called.
    """
    if not _FORM.fullmatch(name):
        raise ArgumentError(f"{key} must be module:name, such as losses:charbonnier, got {name!r}")
    if "" not in sys.path:
        # Where `python -m` and `python -c` begin; an installed command begins in its own folder.
        sys.path.insert(0, "")
    module, _, attribute = name.partition(":")
    try:
        found = pkgutil.resolve_name(name)
    except AttributeError as error:
        raise ArgumentError(f"{key}: {module} has no {attribute} ({error})") from error
    except ModuleNotFoundError as error:
        raise ArgumentError(
            f"{key}: cannot import {module}: {error}; it has to be in the working directory or PYTHONPATH"
        ) from error
    except (Exception, SystemExit) as error:
        raise ArgumentError(f"{key}: importing {module} failed: {describe(error)}") from error
    if not callable(found):
        raise ArgumentError(f"{key}: expected {name} to be a function or class, got {type(found).__name__}")
    result: Callable[..., Any] = found
    return result


@contextmanager
def called(label: str) -> Iterator[None]:
    """While foreign code runs, make one line of what it raises; lack of memory and our own errors pass.

    Args:
        label: What to call it in messages.

    Raises:
        ArgumentError: It failed.
    """
    try:
        yield
    except DvmsrError:
        raise
    except Exception as error:
        if is_lack_of_memory(error):
            raise
        where = setting("--debug shows where", "the exception before this one shows where")
        raise ArgumentError(f"{label} failed: {describe(error)}; {where}") from error


def describe(error: BaseException) -> str:
    """Say in one line what foreign code raised."""
    return f"{type(error).__name__}: {error}".partition("\n")[0]
