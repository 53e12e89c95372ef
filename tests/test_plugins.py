from __future__ import annotations

import re
import sys

import pytest

from dvmsr import ArgumentError
from dvmsr.plugins import load_plugin


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with modules; Python looks there only because it is the working directory."""
    (tmp_path / "mine.py").write_text(
        "class Networks:\n    @staticmethod\n    def small():\n        return 3\nnumber = 4\n"
    )
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "exits.py").write_text("import sys\nsys.exit('usage: exits.py FOLDER')\n")
    (tmp_path / "needs.py").write_text("import no_such_module\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", str(tmp_path))])
    yield tmp_path
    for name in ("mine", "broken", "exits", "needs"):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("folder")
def test_a_module_in_the_working_directory():
    assert load_plugin("mine:Networks.small", "option")() == 3


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mine", "option must be module:name, such as losses:charbonnier, got 'mine'"),
        ("mine.py:Networks", "option: cannot import mine.py: No module named 'mine.py'; "),
        ("mine:number", "option: expected mine:number to be a function or class, got int"),
        ("mine:other", "option: mine has no other ("),
        ("other:name", "option: cannot import other: No module named 'other'; it has to be in"),
        ("needs:name", "option: cannot import needs: No module named 'no_such_module'; "),
        ("exits:name", "option: importing exits failed: SystemExit: usage: exits.py FOLDER"),
        ("broken:name", "option: importing broken failed: ZeroDivisionError: division by zero"),
    ],
)
def test_what_cannot_be_loaded_is_said_in_a_line(name, message):
    with pytest.raises(ArgumentError, match="^" + re.escape(message)) as caught:
        load_plugin(name, "option")
    assert "\n" not in str(caught.value)
