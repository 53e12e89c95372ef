from __future__ import annotations

import sys


def test_file_and_what_is_told(dvmsr, network, tmp_path):
    target = tmp_path / "small.onnx"
    code, out, err = dvmsr("export", "onnx", "-o", target, *network)
    assert (code, err) == (0, "")
    *sizes, last = out.splitlines()
    assert [line.partition(":")[0] for line in sizes] == ["7x5", "32x32", "80x48"]
    assert all("s per megapixel" in line for line in sizes)
    assert last.startswith(f"{target}: {target.stat().st_size / 1e6:.2f} MB, largest difference ")


def test_errors_are_one_line(dvmsr, network, tmp_path):
    target = tmp_path / "small.onnx"
    target.touch()
    for arguments, told in (
        ((), "exists already"),
        (("--overwrite", "--opset", "5"), "opset must be 17 to"),
    ):
        code, out, err = dvmsr("export", "onnx", "-o", target, *network, *arguments)
        assert (code, out) == (2, "")
        assert told in err
        assert err.count("\n") == 1


def test_missing_extra(dvmsr, network, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("dvmsr.export")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("dvmsr.export", raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    code, out, err = dvmsr("export", "onnx", "-o", tmp_path / "a.onnx", *network)
    assert (code, out) == (2, "")
    assert err.startswith("dvmsr: error: Exporting to ONNX needs onnxruntime: run pip install '.[onnx]' ")
