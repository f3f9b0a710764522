"""What DESIGN.md promises of the house, read from the source itself: layers, cycles, sizes, names, pins."""

from __future__ import annotations

import ast
import gc
import re
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from common.study import catalogue as common_catalogue
from common.study.catalogue import Catalogue

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "common": {"common"},
    "client": {"client", "common"},
    "server": {"server", "common"},
    "experiments": {"experiments", "server", "client", "common"},
    "wardround": {"wardround", "experiments", "server", "client", "common"},
}
LONGEST_FILE = 450
SOURCES = sorted(path for package in MAY_IMPORT for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = SETTINGS["project"]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in SOURCES}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_looked_for_among_trees() -> Iterator[None]:
    """Of two million nodes none is garbage; the collector would go through all of them again and again."""
    gc.disable()
    yield
    tree.cache_clear()
    gc.enable()


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Every module that a file imports, at its top or inside a function, as a dotted name."""
    return tuple(_imports(path))


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """All of a file's, at any depth; expressions, nine tenths of a tree, hold none."""
    for field in ("body", "handlers", "orelse", "finalbody", "cases"):
        for child in getattr(node, field, ()):
            yield child
            yield from statements(child)


def _imports(path: Path) -> Iterator[str]:
    for node in statements(tree(path)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the layer"
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                yield inner if inner in MODULES else str(node.module)


def by_name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def of_every(paths: Iterable[Path]):
    """One test over all files, which names those that break the law: a test for each would take minutes."""

    def over(law: Callable[[Path], None]) -> Callable[[], None]:
        def test() -> None:
            broken = []
            for path in paths:
                try:
                    law(path)
                except AssertionError as error:
                    broken.append(f"{by_name(path)} {error}".splitlines()[0])
            assert not broken, "\n".join(broken)

        test.__name__, test.__doc__ = law.__name__, law.__doc__
        return test

    return over


@of_every(SOURCES)
def test_a_layer_imports_only_the_layers_below_it(path):
    layer = path.relative_to(ROOT).parts[0]
    ours = {name.split(".")[0] for name in imports(path)} & MAY_IMPORT.keys()
    assert ours <= MAY_IMPORT[layer]


def test_no_module_imports_itself_through_others():
    """Any cycle counts, also one that an import inside a function would defer."""
    graph = {name: set(imports(path)) & MODULES.keys() - {name} for name, path in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' <- '.join(error.args[1])}")


@of_every([p for p in SOURCES if by_name(p).startswith("common/")])
def test_common_knows_flower_only_at_the_wire(path):
    allowed = ("records", "message_bytes", "packing", "objects", "flower_inside", "message_form", "long_form")
    if by_name(path) not in [f"common/wire/{name}.py" for name in allowed]:
        assert "flwr" not in {name.split(".")[0] for name in imports(path)}


def is_inside_of_flower(name):
    documented = {"flwr.app", "flwr.serverapp", "flwr.clientapp", "flwr.simulation"}
    return name.split(".")[0] == "flwr" and ".".join(name.split(".")[:2]) not in documented | {"flwr"}


@of_every(SOURCES)
def test_one_file_alone_imports_what_flower_does_not_document(path):
    """`_flower_program.py` runs inside of Flower's own programs, where nothing of ours may be imported."""
    excepted = ("common/wire/flower_inside.py", "experiments/engines/_flower_program.py")
    if by_name(path) not in excepted and not by_name(path).startswith("experiments/benchmarks/"):
        assert not [name for name in imports(path) if is_inside_of_flower(name)]


@of_every([*SOURCES, *TESTS])
def test_no_file_is_too_long_to_hold_one_idea(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


@of_every([path for path in SOURCES if path.parent.name != "templates"])
def test_no_module_is_named_like_one_of_the_standard_library(path):
    """But for templates, which are named by their kind and are imported under a name of their user's."""
    assert path.stem.startswith("__") or path.stem not in sys.stdlib_module_names


@of_every([path for path in SOURCES if by_name(path).partition("/")[0] in ("client", "common", "server")])
def test_no_module_is_named_like_what_flower_leaves_out_of_a_bundle(path):
    """It leaves `test_*.py` and `*_test.py` out, whatever is in them: a hospital would run another program."""
    assert not path.stem.startswith("test_") and not path.stem.endswith("_test")


def test_no_two_test_files_share_a_name():
    names = [path.name for path in TESTS if path.name != "conftest.py"]
    assert len(names) == len(set(names))


@of_every(TESTS)
def test_no_test_waits_for_another_program_without_end(path):
    """One that hangs would cost all of a test's minutes and say nothing: `tests/ended.py` is for it."""
    for node in ast.walk(tree(path)) if "subprocess.run(" in path.read_text(encoding="utf-8") else ():
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "subprocess.run":
            assert "timeout" in {one.arg for one in node.keywords}, f"line {node.lineno}"


@of_every(SOURCES)
def test_a_library_does_not_print(path):
    if by_name(path) != "experiments/cli.py" and "print(" in path.read_text(encoding="utf-8"):
        calls = [node.func for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
        assert "print" not in {call.id for call in calls if isinstance(call, ast.Name)}


@of_every(SOURCES)
def test_a_file_says_what_it_is_for(path):
    assert ast.get_docstring(tree(path))


@of_every(SOURCES)
def test_one_file_alone_knows_what_devices_there_are(path):
    """Everything else follows a network: it asks neither for CUDA nor for MPS, and names no device of its own."""
    if by_name(path) != "common/learning/device.py" and not by_name(path).startswith("experiments/benchmarks/"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"torch\.(cuda|mps|accelerator|autocast|amp)\b|backends\.(cuda|cudnn|mps)\b", text)
        assert not re.search(r"\.cuda\(|autocast\([\"']|\.to\([\"'](cuda|mps)|torch\.manual_seed\(", text)


def catalogues() -> Iterator[Catalogue]:
    """Every catalogue of the project, found wherever a module defines one by name."""
    yield from (value for value in vars(common_catalogue).values() if isinstance(value, Catalogue))
    if (ROOT / "experiments" / "catalogue.py").exists():
        from experiments import catalogue as more

        yield from (value for value in vars(more).values() if isinstance(value, Catalogue))


ENTRIES = [
    pytest.param(catalogue.kind, path, id=f"{catalogue.kind}-{path.stem}")
    for catalogue in {catalogue.kind: catalogue for catalogue in catalogues()}.values()
    for path in sorted((ROOT / catalogue.package.replace(".", "/")).glob("*.py"))
    if not path.name.startswith("_")
]


@pytest.mark.parametrize(("kind", "path"), ENTRIES)
def test_an_entry_ends_by_binding_its_kinds_word(kind, path):
    last = tree(path).body[-1]
    assert isinstance(last, (ast.Assign, ast.AnnAssign))
    targets = last.targets if isinstance(last, ast.Assign) else [last.target]
    assert [target.id for target in targets if isinstance(target, ast.Name)] == [kind]


@pytest.mark.parametrize(("kind", "path"), ENTRIES)
def test_an_entrys_first_line_is_a_sentence_for_the_list(kind, path):
    first = (ast.get_docstring(tree(path)) or "").partition("\n")[0]
    assert len(first) > 10
    assert first.endswith(".")


EXTRAS = PROJECT["optional-dependencies"].values()
REQUIREMENTS = [*PROJECT["dependencies"], *(requirement for extra in EXTRAS for requirement in extra)]


INSTALLED = packages_distributions()


def distribution(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@of_every(SOURCES)
def test_every_package_that_is_imported_is_asked_for_by_name(path):
    """A package that merely came along with another one may be gone with its next version.

    A benchmark's peers run beside us, in a Python of their own, and are no part of the project.
    """
    if path.name.endswith("_peers.py"):
        return
    asked = {distribution(re.split(r"[^A-Za-z0-9._-]", one)[0]) for one in REQUIREMENTS}
    for name in {name.split(".")[0] for name in imports(path)} - MAY_IMPORT.keys() - set(sys.stdlib_module_names):
        assert asked & {distribution(one) for one in INSTALLED.get(name, [name])}, f"{name} is not in pyproject.toml"
