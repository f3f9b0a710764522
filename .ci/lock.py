"""Write requirements.lock: a version of every package that any extra needs, for every Python and platform of ours.

    .venv/bin/python .ci/lock.py [--upgrade]

Versions that the lock has already are kept, but for what pyproject.toml no longer allows; --upgrade takes the newest.
The packages come from wherever uv is set to look, and no address is written down.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
BUILD = ["hatchling==1.33.0", "editables>=0.5"]
"""What an editable installation of our own package is built with."""
TORCH = "2.13.0"
"""Apart from the others: a newer release changes the figures in the docs, and is a decision."""
TORCH_OTHER_BUILDS = ("6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b",)
"""SHA-256 of builds that a package index does not list beside its own: 2.13.0+cpu, CPython 3.11, Linux x86_64."""
HEADER = """\
# Every package of every extra, with the SHA-256 of each of its files. Made by `make lock`; not edited by hand.
# Installed from by .ci/install.py, which takes what the chosen extras need.
"""


def main() -> None:
    """Resolve, then add what the index cannot know."""
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv), "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"]
    command += ["--no-header", "--all-extras", "--output-file", str(LOCK), *sys.argv[1:]]
    inputs = "\n".join([*BUILD, f"torch=={TORCH}"])
    if LOCK.exists():
        LOCK.write_text(LOCK.read_text(encoding="utf-8").removeprefix(HEADER), encoding="utf-8")
    subprocess.run([*command, "pyproject.toml", "-"], input=inputs, text=True, cwd=ROOT, check=True, stdout=-3)
    LOCK.write_text(HEADER + _with_other_builds(LOCK.read_text(encoding="utf-8")), encoding="utf-8")


def _with_other_builds(lock: str) -> str:
    pin = f"torch=={TORCH} \\\n"
    hashes = "".join(f"    --hash=sha256:{one} \\\n" for one in TORCH_OTHER_BUILDS if one not in lock)
    return lock.replace(f"\n{pin}", f"\n{pin}{hashes}", 1)


if __name__ == "__main__":
    main()
