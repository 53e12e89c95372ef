"""In the place of ``huggingface_hub`` where it is not installed."""

from __future__ import annotations

from typing import Any, NoReturn

from dvmsr.errors import MissingExtraError


class ModelHubMixin:
    """Says what to install when it is used."""

    def __init_subclass__(cls, **_: Any) -> None:
        super().__init_subclass__()

    @classmethod
    def from_pretrained(cls, *_: Any, **__: Any) -> NoReturn:
        """Raise ``MissingExtraError``."""
        raise MissingExtraError("huggingface_hub", "hub", "from_pretrained")

    def save_pretrained(self, *_: Any, **__: Any) -> NoReturn:
        """Raise ``MissingExtraError``."""
        raise MissingExtraError("huggingface_hub", "hub", "save_pretrained")

    def push_to_hub(self, *_: Any, **__: Any) -> NoReturn:
        """Raise ``MissingExtraError``."""
        raise MissingExtraError("huggingface_hub", "hub", "push_to_hub")
