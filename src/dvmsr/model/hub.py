"""What makes the network one that the Hugging Face Hub knows, where ``huggingface_hub`` is installed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from dvmsr.config import NetworkConfig
from dvmsr.errors import WeightsError
from dvmsr.weights import Weights
from dvmsr.weights.hub import (
    check_pretrained_folder,
    hub_errors_told,
    load_pretrained,
    save_pretrained,
)

if TYPE_CHECKING:
    from huggingface_hub import ModelHubMixin
else:
    try:
        from huggingface_hub import ModelHubMixin
    except ModuleNotFoundError:
        from dvmsr.model.no_hub import ModelHubMixin


class HubNetwork(ModelHubMixin):
    """A network with ``from_pretrained``, ``save_pretrained`` and ``push_to_hub``."""

    config: NetworkConfig

    if TYPE_CHECKING:

        @classmethod
        def from_weights(cls, weights: Weights) -> HubNetwork: ...  # noqa: D102 - the network's

        def state_dict(self) -> Mapping[str, Tensor]: ...  # noqa: D102 - the network's

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, **options: Any) -> Any:
        """Load a network; see huggingface_hub's ``ModelHubMixin``.

        Raises:
            WeightsError: There is no such model, it cannot be downloaded, or a file is missing, damaged or of
                another network.
            MissingExtraError: huggingface_hub is not installed.
        """
        try:
            with hub_errors_told(pretrained_model_name_or_path):
                return super().from_pretrained(pretrained_model_name_or_path, **options)
        # The last: it is JSON, and no object.
        except (json.JSONDecodeError, UnicodeDecodeError, AttributeError) as error:
            raise WeightsError(
                f"{pretrained_model_name_or_path}: its config.json is damaged ({error}): get or save it anew"
            ) from error

    def save_pretrained(self, save_directory: Any, **options: Any) -> Any:
        """Save the network in a folder; see huggingface_hub's ``ModelHubMixin``.

        Raises:
            WeightsError: The folder cannot be made, or a file in it not written.
        """
        # Before the mixin removes the configuration that is there.
        check_pretrained_folder(Path(save_directory))
        return super().save_pretrained(save_directory, **options)

    def _save_pretrained(self, save_directory: Path) -> None:
        parameters = {name: tensor.detach().cpu().numpy() for name, tensor in self.state_dict().items()}
        save_pretrained(save_directory, parameters, self.config)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **options: Any) -> HubNetwork:
        # Its configuration is in the file of weights, too, and checked there.
        options.pop("config", None)
        return cls.from_weights(load_pretrained(model_id, **options))
