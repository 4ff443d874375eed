"""Importing the plain types costs no deep-learning library."""

from __future__ import annotations

import subprocess
import sys


def test_specs_import_no_torch():
    heavy = "{'torch', 'pytorch_lightning', 'sklearn'}"
    code = f"import sys, models.specs; print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_importing_leaves_the_random_state_and_threads():
    code = (
        "import torch; torch.manual_seed(3); s = torch.get_rng_state(); t = torch.get_num_threads();"
        "import models.recipe, models.selection;"
        "print(torch.equal(s, torch.get_rng_state()) and t == torch.get_num_threads())"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "True"
