from typing import Any

from numpy.typing import NDArray

# Arrays are anything with DLPack: NumPy's and PyTorch's both are passed. The kernels take theirs in the
# order of native/bindings.cpp, inputs first, and write the outputs in place.

SCAN_CHUNK: int
MAX_STATES: int

def instruction_set() -> str: ...
def selective_scan_forward(*arrays: Any, threads: int) -> None: ...
def selective_scan_backward(*arrays: Any, threads: int) -> None: ...
def causal_conv_forward(*arrays: Any, threads: int) -> None: ...
def causal_conv_backward(*arrays: Any, threads: int) -> None: ...

class Network:
    def __init__(
        self,
        parameters: dict[str, NDArray[Any]],
        scale: int,
        channels: int,
        blocks: int,
        vimms_per_block: int,
        state_size: int,
        inner_channels: int,
        conv_width: int,
        dt_rank: int,
        vimm_residual: bool,
        rgb_mean: tuple[float, float, float],
        bfloat16: bool,
    ) -> None: ...

class Stream:
    def __init__(self, network: Network, width: int, threads: int) -> None: ...
    def rows_after(self, rows: int, last: bool) -> int: ...
    def run(self, input: NDArray[Any], output: NDArray[Any], last: bool) -> None: ...
