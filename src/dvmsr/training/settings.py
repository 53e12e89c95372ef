"""Everything that fixes a run of training, in sections as in a recipe's TOML file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from dvmsr.config import NetworkConfig
from dvmsr.training.degrading import DegradationSettings
from dvmsr.training.field_types import check_types, require

# Beyond these a machine has none to give, and libraries end the process instead of saying so.
_MOST_TASKS = 1024


@dataclass(frozen=True)
class DataSettings:
    """What is learnt from."""

    hr: tuple[str, ...] = ()
    """Folders of photographs: the ground truth."""

    lr: tuple[str, ...] = ()
    """Folders of their LR images by the same names, one for each in ``hr``; none: made by bicubic."""

    patch: int = 32
    """Side of an LR patch in pixels."""

    scale_augmentation: tuple[float, ...] = ()
    """Sizes, each from 0.01 and below 1, in which every photograph is used once more."""

    def __post_init__(self) -> None:
        check_types(self)
        require(self.patch >= 1, f"patch must be from 1, got {self.patch}")
        require(
            len(self.lr) in (0, len(self.hr)),
            f"lr must name as many folders as hr ({len(self.hr)}) or none, got {len(self.lr)}",
        )
        for factor in self.scale_augmentation:
            require(0.01 <= factor < 1, f"scale_augmentation must be from 0.01 and below 1, got {factor}")
        require(
            not (self.lr and self.scale_augmentation),
            "scale_augmentation makes its own LR images: leave lr empty, or leave it out",
        )


@dataclass(frozen=True)
class TeacherSettings:
    """Whom the student learns from; without weights, networks and a folder there is no teacher."""

    weights: tuple[str, ...] = ()
    """Files of weights; their outputs are averaged."""

    networks: tuple[str, ...] = ()
    """``module:function`` of others, more in the mean, online: each returns a ``torch.nn.Module``."""

    outputs_folder: str = ""
    """Folder of any network's outputs by the photographs' names; with ``weights``, one more in the mean."""

    self_ensemble: bool = False
    """Whether each teacher's output is the mean over the 8 flips and rotations of its input."""

    outputs: Literal["cached", "online"] = "cached"
    """Made once for whole photographs and kept on the disk, or made for the patches of each step."""

    teacher_only: int = 0
    """Further patches in each step: HR pixels as LR inputs, for which only the teacher has an output."""

    def __post_init__(self) -> None:
        check_types(self)
        require(self.teacher_only >= 0, f"teacher_only must be from 0, got {self.teacher_only}")
        require(
            bool(self.weights or self.networks) or not self.teacher_only,
            "teacher_only needs a teacher: name its weights or network, or leave it out",
        )
        require(
            not self.networks or self.outputs == "online",
            'networks need outputs = "online": what they make is not kept on the disk',
        )

    @property
    def exists(self) -> bool:
        """Whether there is a teacher at all."""
        return bool(self.weights or self.networks or self.outputs_folder)


@dataclass(frozen=True)
class LossSettings:
    """``lambda_hr * distance(student, HR) + lambda_kd * distance(student, teacher)`` (paper section 3.3)."""

    distance: Literal["l1", "l2", "smooth_l1"] = "l1"
    """Mean absolute error, mean squared error, or the Huber loss between the two."""

    function: str = ""
    """``module:function`` of a distance of one's own instead: two (batch, 3, H, W) in, a scalar out."""

    smooth_l1_beta: float = 0.01
    """Error, as a part of the range of values, below which ``smooth_l1`` is quadratic."""

    lambda_hr: float = 1.0
    """Weight of the distance to the ground truth."""

    lambda_kd: float = 1.0
    """Weight of the distance to the teacher's output."""

    def __post_init__(self) -> None:
        check_types(self)
        require(self.smooth_l1_beta > 0, f"smooth_l1_beta must be above 0, got {self.smooth_l1_beta}")
        for name, value in (("lambda_hr", self.lambda_hr), ("lambda_kd", self.lambda_kd)):
            require(value >= 0, f"{name} must be from 0, got {value}")


@dataclass(frozen=True)
class OptimizerSettings:
    """The optimizer, its learning rate over time, and the moving average of the weights."""

    name: Literal["adam", "muon"] = "adam"
    """Adam; or Muon for the hidden layers' matrices and 3x3 convolutions, with Adam for all else."""

    learning_rate: float = 1e-3
    """Adam's highest rate, which the warm-up leads to."""

    muon_rate: float = 0.01
    """Muon's highest rate; it follows the same schedule."""

    muon_momentum: float = 0.95
    """Decay of Muon's (Nesterov's) momentum."""

    betas: tuple[float, ...] = (0.9, 0.99)
    """Adam's two decay rates (paper section 4.1)."""

    gradient_norm: float = 1.0
    """Gradients of a larger norm are scaled down to it; 0 leaves them alone."""

    ema_decay: float = 0.999
    """Decay of the moving average of the weights, which is what is validated and exported."""

    warmup: int = 200
    """Steps over which the rate rises from 0."""

    schedule: Literal["cosine", "multistep", "restarts"] = "cosine"
    """One cosine; a factor at each milestone (the paper's); or a cosine that starts anew."""

    final_rate: float = 0.01
    """Where a cosine ends, as a part of ``learning_rate``."""

    milestones: tuple[int, ...] = (250_000, 400_000, 450_000, 475_000)
    """Steps after which ``multistep`` multiplies the rate by ``gamma``."""

    gamma: float = 0.5
    """See ``milestones``."""

    restart_every: int = 50_000
    """Steps of one cosine of ``restarts``."""

    def __post_init__(self) -> None:
        check_types(self)
        for name, rate in (("learning_rate", self.learning_rate), ("muon_rate", self.muon_rate)):
            require(rate > 0, f"{name} must be above 0, got {rate}")
        require(
            0 <= self.muon_momentum < 1, f"muon_momentum must be from 0 and below 1, got {self.muon_momentum}"
        )
        require(
            len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas),
            f"betas must be two numbers from 0 and below 1, got {list(self.betas)}",
        )
        require(self.gradient_norm >= 0, f"gradient_norm must be from 0, got {self.gradient_norm}")
        require(0 <= self.ema_decay < 1, f"ema_decay must be from 0 and below 1, got {self.ema_decay}")
        require(self.warmup >= 0, f"warmup must be from 0, got {self.warmup}")
        require(0 <= self.final_rate <= 1, f"final_rate must be from 0 to 1, got {self.final_rate}")
        require(0 < self.gamma <= 1, f"gamma must be above 0 and at most 1, got {self.gamma}")
        require(self.restart_every >= 1, f"restart_every must be from 1, got {self.restart_every}")


@dataclass(frozen=True)
class RunSettings:
    """How long, how much at once, and from where."""

    steps: int = 20_000
    """Optimizer steps."""

    batch: int = 8
    """Patches in a step, over all devices together."""

    seed: int = 0
    """Fixes the initial weights and every patch."""

    precision: Literal["fp32", "bf16-mixed"] = "fp32"
    """Arithmetic of the forward and backward pass; the weights stay float32."""

    initial_weights: str = ""
    """File of weights to start from; empty: random ones."""

    def __post_init__(self) -> None:
        check_types(self)
        for name, value in (("steps", self.steps), ("batch", self.batch)):
            require(value >= 1, f"{name} must be from 1, got {value}")
        require(self.seed >= 0, f"seed must be from 0, got {self.seed}")


@dataclass(frozen=True)
class MonitorSettings:
    """What is watched and kept on the way; it changes no weights."""

    validation: tuple[str, ...] = ()
    """Benchmark sets: folders with HR/ and LR/."""

    validate_every: int = 1000
    """Steps between two validations."""

    checkpoint_every: int = 500
    """Steps between two checkpoints."""

    keep_checkpoints: int = 2
    """How many of the newest checkpoints are kept, from 2: the newest may come to harm."""

    log_every: int = 50
    """Steps between two rows of the log."""

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("validate_every", "checkpoint_every", "log_every"):
            require(getattr(self, name) >= 1, f"{name} must be from 1, got {getattr(self, name)}")
        require(self.keep_checkpoints >= 2, f"keep_checkpoints must be from 2, got {self.keep_checkpoints}")


@dataclass(frozen=True)
class MachineSettings:
    """What the run may use."""

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """Where to compute; auto takes a GPU if there is one."""

    devices: int = 1
    """GPUs, or processes on a CPU, on each machine; under torchrun, torchrun says it."""

    nodes: int = 1
    """Machines; under torchrun, torchrun says it."""

    threads: int = 0
    """CPU threads of PyTorch in each process; 0 leaves it to PyTorch."""

    workers: int = 0
    """Processes that cut patches beside each training process; 0 cuts them in it."""

    cuda_graphs: bool = True
    """Record the network's passes on a single GPU once, and replay them: fewer launches from the CPU."""

    photographs_on_gpu: bool = True
    """Keep photographs that fit into a quarter of a GPU's free memory there, and cut patches there."""

    memory_mib: int = 8192
    """Memory of each process for decoded photographs; those beyond it are decoded to the disk."""

    cache: str = ""
    """Folder for those, and for teachers' outputs; empty: ``cache`` beside the run's folder."""

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("devices", "nodes"):
            require(getattr(self, name) >= 1, f"{name} must be from 1, got {getattr(self, name)}")
        for name in ("threads", "workers", "memory_mib"):
            require(getattr(self, name) >= 0, f"{name} must be from 0, got {getattr(self, name)}")
        for name in ("threads", "workers", "devices", "nodes"):
            value = getattr(self, name)
            require(value <= _MOST_TASKS, f"{name} must be up to {_MOST_TASKS}, got {value}")


@dataclass(frozen=True)
class TrainingConfig:
    """The whole configuration of a run.

    Raises:
        ArgumentError: A value is of another type or outside its range; the message names its key.
    """

    network: NetworkConfig = field(default_factory=NetworkConfig)
    """Shape of the network that is trained."""

    data: DataSettings = field(default_factory=DataSettings)
    degradation: DegradationSettings = field(default_factory=DegradationSettings)
    teacher: TeacherSettings = field(default_factory=TeacherSettings)
    loss: LossSettings = field(default_factory=LossSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    run: RunSettings = field(default_factory=RunSettings)
    monitor: MonitorSettings = field(default_factory=MonitorSettings)
    machine: MachineSettings = field(default_factory=MachineSettings)

    def __post_init__(self) -> None:
        require(
            not self.teacher.exists or self.loss.lambda_kd > 0,
            "loss.lambda_kd is 0, so the teacher is for nothing: raise it, or leave out the teacher",
        )
        learns = self.loss.lambda_hr > 0 or self.teacher.exists
        require(learns, "loss.lambda_hr is 0 and there is no teacher: nothing to learn from")
        require(
            self.degradation.probability == 0 or not (self.data.lr or self.teacher.teacher_only),
            "degradation makes LR images of its own: leave out data.lr and teacher.teacher_only",
        )
        require(
            not (self.teacher.outputs_folder and self.data.scale_augmentation),
            "teacher.outputs_folder has no outputs for the sizes of data.scale_augmentation: leave one out",
        )
