"""Collect what a machine without a way to any package index installs from: build/wheels.

    .venv/bin/python .ci/wheels.py [EXTRA ...]

The files are those of requirements.lock, by their hashes, and this checkout's own wheel. They fit the Python and the
platform that this is run with; GPU libraries come along where pip's choice of torch asks for them.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from install import LOCK, OF_A_GPU, ROOT, checked_torch, closure, locked, name_of, pip, wanted

WHEELS = ROOT / "build" / "wheels"


def main(extras: list[str]) -> None:
    """Fill the folder anew."""
    shutil.rmtree(WHEELS, ignore_errors=True)
    WHEELS.mkdir(parents=True)
    packages = locked(LOCK.read_text(encoding="utf-8"))
    needed = closure(packages, {name_of(one) for one in wanted(extras)})
    download(packages, [name for name in needed if name != "torch" and not OF_A_GPU.match(name)])
    torch = checked_torch(packages["torch"][0], WHEELS)
    if "cpu" not in torch.name:
        download(packages, [name for name in needed if OF_A_GPU.match(name)])
    pip("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(WHEELS), str(ROOT))
    size_mb = sum(one.stat().st_size for one in WHEELS.iterdir()) / 1e6
    sys.stdout.write(f"{WHEELS.relative_to(ROOT)}: {len(list(WHEELS.iterdir()))} files, {size_mb:,.0f} MB\n")


def download(packages: dict[str, tuple[str, set[str]]], names: list[str]) -> None:
    """Exactly the files that the lock knows of `names`; wheels alone, so that nothing is built where they go."""
    with TemporaryDirectory() as folder:
        chosen = Path(folder) / "chosen.lock"
        chosen.write_text("".join(packages[name][0] for name in names), encoding="utf-8")
        only = ("--no-deps", "--require-hashes", "--prefer-binary", "--dest", str(WHEELS))
        pip("download", "--quiet", *only, "--requirement", str(chosen))
    for source in WHEELS.glob("*.tar.gz"):
        pip("wheel", "--quiet", "--no-deps", "--wheel-dir", str(WHEELS), str(source))
        source.unlink()


if __name__ == "__main__":
    main(sys.argv[1:])
