"""What photographs go through before people enlarge them: blur, reduction, noise and lossy compression.

Each step is a small value that says how strong it is, with a method that does it; what is random in it comes
from the generator that it is given. So an LR image is a function of its HR image, these values and a seed.
"""

from dvmsr.degradations.blur import Blur
from dvmsr.degradations.chain import Degradation
from dvmsr.degradations.compression import Compression
from dvmsr.degradations.noise import Noise
from dvmsr.degradations.presets import PRESETS
from dvmsr.degradations.reduction import REDUCTIONS, Reduction, reduce

__all__ = ["PRESETS", "REDUCTIONS", "Blur", "Compression", "Degradation", "Noise", "Reduction", "reduce"]
