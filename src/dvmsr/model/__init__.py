"""The network in PyTorch: the definition that trains and runs on GPUs."""

from dvmsr.model.network import DVMSR
from dvmsr.model.rssb import RSSB
from dvmsr.model.vimm import Mamba, ViMM

__all__ = ["DVMSR", "RSSB", "Mamba", "ViMM"]
