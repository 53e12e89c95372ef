"""What makes the network one that the Hugging Face Hub knows, where ``huggingface_hub`` is installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from dvmsr.config import NetworkConfig
from dvmsr.weights import Weights
from dvmsr.weights.hub import load_pretrained, save_pretrained

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

    def _save_pretrained(self, save_directory: Path) -> None:
        parameters = {name: tensor.detach().cpu().numpy() for name, tensor in self.state_dict().items()}
        save_pretrained(save_directory, parameters, self.config)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, **options: Any) -> HubNetwork:
        # Its configuration is in the file of weights, too, and checked there.
        options.pop("config", None)
        return cls.from_weights(load_pretrained(model_id, **options))
