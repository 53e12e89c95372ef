"""An exported ONNX model against the engine, by time and peak memory, in one run on one machine."""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from dvmsr.evaluation.measuring import measure
from workers import add_output, load_average, write_report

RESULT = Path(__file__).parent / "results" / "exported.json"
WEB = Path(__file__).parents[1] / "tests" / "export" / "web"


@dataclass(frozen=True)
class Case:
    """What is measured once. Its names are those of the JSON file."""

    runtime: str
    """"engine"; "onnxruntime"; "web": ONNX Runtime's WebAssembly, in Node."""

    threads: int
    """CPU threads."""

    height: int
    """Rows of the LR image."""

    width: int
    """Columns of the LR image."""


def build(case: Case) -> Callable[[], object]:
    """Return the function that does a case's work once. Each imports what it needs alone, for its memory."""
    image = np.random.default_rng(0).random((case.height, case.width, 3), np.float32)
    if case.runtime == "engine":
        from dvmsr import Upscaler

        upscaler = Upscaler(threads=case.threads)
        return lambda: upscaler.upscale(image)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = case.threads
    session = onnxruntime.InferenceSession(_model(), options, providers=["CPUExecutionProvider"])
    feed = {"image": np.ascontiguousarray(image.transpose(2, 0, 1)[None])}
    return lambda: session.run(None, feed)


def _model() -> bytes:
    from dvmsr.export.network import build_model
    from dvmsr.weights import load_weights

    return build_model(load_weights()).SerializeToString()


def seconds_in_node(case: Case) -> float:
    """Run a case in WebAssembly once; the time is of the network alone."""
    image = np.random.default_rng(0).random((3, case.height, case.width), np.float32)
    with tempfile.TemporaryDirectory() as folder:
        model, source = Path(folder, "x4.onnx"), Path(folder, "in")
        model.write_bytes(_model())
        image.tofile(source)
        sides = [str(case.height), str(case.width)]
        command = ["node", "run.mjs", str(model), *sides, str(source), str(Path(folder, "out"))]
        done = subprocess.run(command, cwd=WEB, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=256, help="rows and columns of the image (default: 256)")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each case (default: 5)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="(default: 1 2)")
    add_output(parser, RESULT)
    options = parser.parse_args()

    load = load_average()
    cases = [
        Case(runtime, threads, options.side, options.side)
        for threads in options.threads
        for runtime in ("engine", "onnxruntime")
    ]
    measured = measure(build, cases, warm_up=1, repeats=options.repeats)
    rows = [asdict(case) | asdict(result) for case, result in zip(cases, measured, strict=True)]
    if (WEB / "node_modules").is_dir():
        case = Case("web", 1, options.side, options.side)
        rows.append(asdict(case) | {"seconds": seconds_in_node(case)})
    else:
        print("No packages of Node's: run tests/export/test_web.py first to measure WebAssembly, too")
    for row in rows:
        print(
            f"{row['runtime']}, {row['threads']} threads: {row['seconds']:.2f} s, {row.get('peak_mib')} MiB"
        )
    write_report(options.output, load_before=load, repeats=options.repeats, rows=rows)


if __name__ == "__main__":
    main()
