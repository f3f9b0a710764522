"""Install this checkout, and what it needs from requirements.lock: nothing whose hash is not there.

    .venv/bin/python .ci/install.py [EXTRA ...]

torch comes apart: its builds (for the CPU, for a GPU) share a version, pip chooses among them as this machine has set
it, and the file that it chose must be in the lock. NVIDIA's libraries are in the lock too and are installed where the
build asks for them. A torch of the locked version that is there already is kept, whatever build it is.

Modules are compiled when all are there, on all cores; pip would use one, and compile their tests too.
"""

from __future__ import annotations

import compileall
import re
import subprocess
import sys
import sysconfig
import tomllib
from hashlib import file_digest
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BUILD = ("hatchling", "editables")
NEVER_IMPORTED = re.compile(r"/tests?/")
OF_A_GPU = re.compile(r"(nvidia|cuda)-|triton\b")


def main(extras: list[str]) -> None:
    """Install the locked packages, then this checkout, then look whether all fit."""
    packages = locked(LOCK.read_text(encoding="utf-8"))
    needed = closure(packages, {name_of(one) for one in wanted(extras)} | {*BUILD})
    for_gpu = [name for name in needed if OF_A_GPU.match(name)]
    install(packages, [name for name in needed if name not in {"torch", *for_gpu}])
    install_torch(packages["torch"][0])
    if any(OF_A_GPU.match(one) for one in requires("torch") or ()):
        install(packages, for_gpu)
    pip("install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    compileall.compile_dir(sysconfig.get_path("platlib"), quiet=2, workers=0, rx=NEVER_IMPORTED)
    pip("check")


def wanted(extras: list[str]) -> list[str]:
    """The requirements in pyproject.toml of the base and of `extras`, those of extras of extras among them."""
    known: dict[str, list[str]] = PROJECT["optional-dependencies"]
    found: list[str] = list(PROJECT["dependencies"])
    waiting = list(extras)
    while waiting:
        extra = waiting.pop()
        if extra not in known:
            sys.exit(f"no extra {extra!r}; there are {', '.join(sorted(known))}.")
        for requirement in known[extra]:
            inner = re.match(r"wardround\[(.*)\]", requirement)
            waiting += inner[1].split(",") if inner else []
            found += [] if inner else [requirement]
    return found


def locked(text: str) -> dict[str, tuple[str, set[str]]]:
    """By package: its lines of the lock, and the packages it is there for. One package may have several versions."""
    packages: dict[str, tuple[str, set[str]]] = {}
    for block in re.split(r"\n(?=[a-z])", text):
        if not re.match(r"[a-z]", block):
            continue
        lines = [line for line in block.splitlines() if not line.lstrip().startswith("#")]
        via = re.search(r"# via(.*)", block, re.DOTALL)
        reasons = {name_of(one.strip(" #")) for one in via[1].split("\n") if one.strip(" #")} if via else set()
        before, more = packages.get(name_of(block), ("", set()))
        packages[name_of(block)] = (before + "\n".join(lines) + "\n", more | reasons)
    return packages


def closure(packages: dict[str, tuple[str, set[str]]], names: set[str]) -> list[str]:
    """`names` and all they need, sorted."""
    missing = names - packages.keys()
    if missing:
        sys.exit(f"requirements.lock lacks {', '.join(sorted(missing))}: run make lock.")
    found = set(names)
    while more := {name for name, (_, reasons) in packages.items() if reasons & found} - found:
        found |= more
    return sorted(found)


def name_of(requirement: str) -> str:
    """A package's name in its normal form."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    return re.sub(r"[-_.]+", "-", match[0]).lower() if match else ""


def install(packages: dict[str, tuple[str, set[str]]], names: list[str]) -> None:
    """Install exactly the files that the lock knows of `names`."""
    chosen = Path(sys.prefix) / "chosen.lock"
    chosen.write_text("".join(packages[name][0] for name in names), encoding="utf-8")
    pip("install", "--quiet", "--no-compile", "--no-deps", "--require-hashes", "--requirement", str(chosen))


def install_torch(lines: str) -> None:
    """Install the build that pip chooses, if the lock knows it."""
    pin = lines.split(maxsplit=1)[0]
    try:
        if version("torch").partition("+")[0] == pin.removeprefix("torch=="):
            return
    except PackageNotFoundError:
        pass
    with TemporaryDirectory(dir=sys.prefix) as folder:
        pip("install", "--quiet", "--no-compile", "--no-deps", str(checked_torch(lines, Path(folder))))


def checked_torch(lines: str, folder: Path) -> Path:
    """The build that pip chooses, in `folder`. Exits where the lock does not know it."""
    pin = lines.split(maxsplit=1)[0]
    pip("download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(folder), pin)
    (wheel,) = folder.glob("torch-*")
    with wheel.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    if f"sha256:{digest}" not in lines:
        sys.exit(
            f"{wheel.name} (SHA-256 {digest}) is a build of torch that requirements.lock does not know. If you "
            f"trust where it came from, install it first: {sys.executable} -m pip install {pin}"
        )
    return wheel


def pip(*arguments: str) -> None:
    """Run pip with whatever this machine has set for it. Exits where it fails."""
    if subprocess.run([sys.executable, "-m", "pip", *arguments]).returncode:
        sys.exit(f"pip {arguments[0]} failed.")


if __name__ == "__main__":
    main(sys.argv[1:])
