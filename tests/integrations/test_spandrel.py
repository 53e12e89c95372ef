"""What can be tested without spandrel; with it, ``spandrel_program.py`` is run by hand or by CI."""

from __future__ import annotations

import subprocess
import sys


def test_the_extra_is_named():
    program = "import sys; sys.modules['spandrel'] = None\nimport dvmsr.integrations.spandrel"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(
        "dvmsr.errors.MissingExtraError: dvmsr.integrations.spandrel needs spandrel: run pip"
    )


def test_the_package_imports_nothing():
    program = "import sys, dvmsr.integrations; print({'torch', 'spandrel'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
