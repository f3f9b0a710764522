"""What a command imports: a call that reads a name or a file does not wait for libraries of learning."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.ended import ended

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "pandas", "pyarrow", "scipy", "sklearn", "numba", "nibabel", "pydicom", "highdicom", "flwr", "ray")
HEAVY += ("matplotlib", "tenseal", "opacus", "PIL", "tifffile", "cryptography", "numpy", "nilearn")
SAID = "imported: "
CALLS = """
import json, os, sys
from contextlib import redirect_stderr, redirect_stdout, suppress
from io import StringIO
from experiments.cli import cli
calls, heavy = json.loads(sys.argv[1]), json.loads(sys.argv[2])
for call in calls:
    pid = os.fork()
    if not pid:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()), suppress(SystemExit):
            cli(call)
        print("imported: " + json.dumps([call, sorted({*heavy} & {*sys.modules})]), flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
"""
"""Each command in a fork of one process that has imported the command line alone."""
MAY_IMPORT: dict[tuple[str, ...], set[str]] = {
    ("--help",): set(),
    ("list",): set(),
    ("version",): set(),
    ("--version",): set(),
    ("describe", "study", "training"): {"numpy", "torch"},
    ("data", "list"): set(),
    ("views", "absent.toml"): {"numpy"},
    ("check", "absent.toml"): {"numpy"},
    ("report", "."): {"numpy"},
    ("privacy", "ledger", "."): {"numpy"},
    ("check", "heart", "--set", "source.folder=absent"): {"numpy", "torch", "cryptography"},
    ("status", "--folder", "."): {"cryptography"},
    ("stop", "1", "--folder", "."): set(),
    ("doctor", "--folder", "."): {"cryptography"},
    ("log", "verify", "."): {"cryptography"},
    ("approve", "--list", "."): set(),
    ("policy", "."): {"numpy"},
    ("causal", "a -> b", "--effect", "a", "b"): set(),
    ("node", "accept", "--folder", "."): {"cryptography"},
    ("consortium", "list", "--folder", "."): {"cryptography"},
    ("server", "front", "--folder", "."): {"cryptography"},
    ("server", "up", "--folder", "absent/folder"): {"cryptography"},
    ("metrics", "absent.nii", "absent.nii"): {"numpy", "scipy", "nibabel", "pydicom", "PIL"},
}


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, ...], set[str]]:
    command = [sys.executable, "-c", CALLS, json.dumps([list(call) for call in MAY_IMPORT]), json.dumps(HEAVY)]
    done = ended(
        command,
        cwd=tmp_path_factory.mktemp("empty"),
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(ROOT)},
        check=True,
    )
    lines = [line.removeprefix(SAID) for line in done.stdout.splitlines() if line.startswith(SAID)]
    return {tuple(call): set(names) for call, names in map(json.loads, lines)}


@pytest.mark.parametrize("call", MAY_IMPORT, ids=" ".join)
def test_a_call_imports_no_more_than_it_needs(
    call: tuple[str, ...], imported: dict[tuple[str, ...], set[str]]
) -> None:
    assert imported[call] <= MAY_IMPORT[call]


OF_EXTRAS = {"opacus", "tenseal", "sklearn", "numba", "pydicom", "pyarrow", "ray", "onnx", "onnxruntime"}
NOT_BEFORE_A_STEP = {"scipy", "matplotlib", "pandas", "nibabel", "PIL", "tifffile", "torch._dynamo", "sympy"}


def test_a_hospital_imports_only_what_every_study_needs() -> None:
    code = "import client.app, json, sys; print(json.dumps(sorted(sys.modules)))"
    done = ended([sys.executable, "-c", code], cwd=ROOT, check=True)
    assert not {*json.loads(done.stdout)} & (OF_EXTRAS | NOT_BEFORE_A_STEP)


def test_a_registration_does_not_import_torchs_compiler() -> None:
    """Two seconds of each `wardround register`, for nothing."""
    code = (
        "import sys, torch; from common.registration.optimisers import Lbfgs; "
        "Lbfgs().minimise(lambda point: (point**4).sum(), torch.ones(2, dtype=torch.float64)); "
        "assert 'torch._dynamo' not in sys.modules"
    )
    ended([sys.executable, "-c", code], cwd=ROOT, check=True)
