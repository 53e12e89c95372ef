"""Training, distillation and fine-tuning: needs ``dvmsr[train]``."""

from dvmsr.errors import MissingExtraError

try:
    from dvmsr.training.recipe import make_config, read_recipe
    from dvmsr.training.run import train
    from dvmsr.training.run_folder import RunFolder
    from dvmsr.training.settings import (
        DataSettings,
        LossSettings,
        MachineSettings,
        MonitorSettings,
        OptimizerSettings,
        RunSettings,
        TeacherSettings,
        TrainingConfig,
    )
except ModuleNotFoundError as error:
    _distributions = {"torch": "torch", "lightning": "lightning", "PIL": "pillow", "tomli": "tomli"}
    _missing = _distributions.get((error.name or "").partition(".")[0])
    if _missing is None:
        raise
    raise MissingExtraError(_missing, "train", "Training") from error

__all__ = [
    "DataSettings",
    "LossSettings",
    "MachineSettings",
    "MonitorSettings",
    "OptimizerSettings",
    "RunFolder",
    "RunSettings",
    "TeacherSettings",
    "TrainingConfig",
    "make_config",
    "read_recipe",
    "train",
]
