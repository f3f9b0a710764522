"""What is installed: ranges for strangers, one lock with hashes for us, and a bill of materials."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tomllib
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from itertools import chain
from pathlib import Path
from types import ModuleType

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.ended import ended

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
REQUIREMENTS = [
    Requirement(one) for one in [*PROJECT["dependencies"], *chain(*EXTRAS.values())] if "wardround" not in one
]
PEERS = ("monai", "torchio", "nvflare", "pfl")


def by_path(name: str) -> ModuleType:
    spec = spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


install = by_path("install")
PACKAGES: dict[str, tuple[str, set[str]]] = install.locked(LOCK)


def chosen(*extras: str) -> set[str]:
    names = {install.name_of(one) for one in install.wanted(list(extras))}
    return set(install.closure(PACKAGES, names | {*install.BUILD}))


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_every_package_has_a_least_and_a_greatest_version(requirement: Requirement) -> None:
    signs = {one.operator for one in requirement.specifier}
    assert signs in ({">=", "<"}, {"=="})


def test_the_version_and_its_day_are_the_same_wherever_they_stand() -> None:
    """A citation, a changelog or a dossier that names another version than the program's leads nowhere."""
    said = {
        name: (ROOT / name).read_text(encoding="utf-8")
        for name in ("CHANGELOG.md", "CITATION.cff", "common/__init__.py")
    }
    newest = re.search(r"^## \[([\d.]+)\] - ([\d-]+)$", said["CHANGELOG.md"], re.MULTILINE)
    assert newest is not None
    version, day = newest.groups()
    assert version == PROJECT["version"]
    assert f'__version__ = "{version}"' in said["common/__init__.py"]
    assert f"\nversion: {version}\ndate-released: {day}\n" in said["CITATION.cff"]


def test_flower_stays_at_the_minor_version_whose_insides_are_leant_on() -> None:
    (flower,) = [one for one in REQUIREMENTS if one.name == "flwr"]
    assert str(flower.specifier) == "<1.42,>=1.41"


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_the_lock_holds_a_version_in_every_range(requirement: Requirement) -> None:
    lines = PACKAGES[canonicalize_name(requirement.name)][0]
    versions = re.findall(r"^[a-z0-9-]+==(\S+)", lines, re.MULTILINE)
    assert versions and all(requirement.specifier.contains(version) for version in versions)


def test_every_package_in_the_lock_has_hashes_and_no_address() -> None:
    assert "://" not in LOCK
    for name, (lines, _) in PACKAGES.items():
        pins = re.split(r"\n(?=[a-z])", lines)
        assert all(re.match(r"[a-z0-9-]+==\S+", pin) and "--hash=sha256:" in pin for pin in pins), name


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_every_python_has_one_version_of_a_package(python: str) -> None:
    here = {"python_version": python, "python_full_version": f"{python}.2", "sys_platform": "linux"}
    for name, (lines, _) in PACKAGES.items():
        markers = re.findall(r"^[a-z0-9-]+==[^ ;]+(?: ; ([^\\\n]+))?", lines, re.MULTILINE)
        fitting = [one for one in markers if not one or Marker(one.strip()).evaluate(here)]
        assert len(fitting) <= 1, name


def test_the_demo_needs_no_package_of_an_extra() -> None:
    base = chosen()
    assert not base & {"ray", "tenseal", "opacus", "pyarrow", "scikit-learn", "numba", "llvmlite", "pydicom", "onnx"}
    assert not base & {"nilearn", "pandas", "pytest", "mypy"}
    assert {"torch", "flwr", "scipy", "hatchling"} <= base


def test_the_tests_need_every_extra() -> None:
    assert chosen("dev", "tracking") == PACKAGES.keys() >= {"ray", "tenseal", "llvmlite", "pytest"}


def test_an_unknown_extra_and_a_lock_behind_its_project_are_said() -> None:
    with pytest.raises(SystemExit, match=r"no extra 'dicm'; there are dev, dicom"):
        install.wanted(["dicm"])
    with pytest.raises(SystemExit, match=r"lacks new-one: run make lock"):
        install.closure(PACKAGES, {"new-one"})


def test_a_package_comes_with_all_it_is_there_for() -> None:
    lock = "a==1 \\\n    --hash=sha256:0\n    # via\n    #   b\n    #   c\n"
    lock += "b==1 \\\n    --hash=sha256:1\n    # via -r -\n"
    packages = install.locked(lock)
    assert packages["a"][1] == {"b", "c"}
    assert install.closure(packages, {"b"}) == ["a", "b"]
    assert install.closure(packages, {"a"}) == ["a"]


def test_a_build_of_torch_that_the_lock_does_not_know_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def pip(*arguments: str) -> None:
        assert arguments[0] == "download"
        (Path(arguments[-2]) / "torch-2.13.0+rocm-cp311-linux.whl").write_bytes(b"another")

    monkeypatch.setattr(install, "pip", pip)
    monkeypatch.setattr(install, "version", lambda _: "2.12.0")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    with pytest.raises(SystemExit, match=r"\+rocm.*is a build of torch that requirements\.lock does not know"):
        install.install_torch(PACKAGES["torch"][0])
    monkeypatch.setattr(install, "version", lambda _: "2.13.0+rocm")
    install.install_torch(PACKAGES["torch"][0])


def test_no_archive_is_unpacked_by_what_python_3_11_2_lacks() -> None:
    """`filter=` came with 3.11.4; and extractall trusts its members without it."""
    sources = [path for room in ("common", "client", "server", "experiments") for path in (ROOT / room).rglob("*.py")]
    used = [path for path in sources if re.search(r"extractall|unpack_archive|data_filter", path.read_text("utf-8"))]
    assert not used


@pytest.mark.skipif(find_spec("cyclonedx_py") is None, reason="needs cyclonedx-bom")
def test_the_bill_of_materials_is_valid_and_names_what_is_installed(tmp_path: Path) -> None:
    """Valid by the command's own check against the schema, which fails it otherwise; without the grammars of
    addresses that `tests/conftest.py` does without."""
    bill = tmp_path / "sbom.json"
    begun = ["import runpy, sys", "sys.modules['rfc3987_syntax'] = None"]
    begun += ["runpy.run_module('cyclonedx_py', None, '__main__')"]
    command = [sys.executable, "-c", "; ".join(begun), "environment", "--pyproject", str(ROOT / "pyproject.toml")]
    command += ["--output-reproducible", "--validate", "--of", "JSON", "-o", str(bill), sys.executable]
    ended(command, check=True)
    components = json.loads(bill.read_text(encoding="utf-8"))["components"]
    assert {"flwr", "torch", "numpy"} <= {one["name"] for one in components}


@pytest.mark.skipif(
    os.environ.get("WARDROUND_RESOLVE") != "1" or shutil.which("uv", path=str(Path(sys.executable).parent)) is None,
    reason="asks a package index: set WARDROUND_RESOLVE=1",
)
@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_wardround_resolves_beside(peer: str, python: str) -> None:
    uv = Path(sys.executable).with_name("uv")
    command = [str(uv), "pip", "compile", "--quiet", "--python-version", python, "pyproject.toml", "-"]
    done = ended(command, said_to=peer, cwd=ROOT)
    assert done.returncode == 0, done.stderr
