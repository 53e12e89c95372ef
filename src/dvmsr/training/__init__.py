"""Training by distillation: needs ``dvmsr[train]``."""

from dvmsr.training.photographs import Photographs, load_photographs
from dvmsr.training.settings import TrainingSettings
from dvmsr.training.trainer import train
