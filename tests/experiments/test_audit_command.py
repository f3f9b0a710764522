"""`wardround audit FOLDER`, whatever the folder is called, and the commands beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Wardround = Callable[..., tuple[int, str]]
NO_RUN = "holds no study.toml: it is not a run folder"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["run", "verify", "key", "finished"])
@pytest.mark.parametrize("options", [(), ("--seconds", "3"), ("--no-pictures", "--attack=analytic")], ids=str)
def test_a_run_folder_may_have_any_name(wardround: Wardround, name: str, options: tuple[str, ...]) -> None:
    Path(name).mkdir()
    code, said = wardround("audit", name, *options)
    assert code == 1 and f"{name} {NO_RUN}" in said
    code, said = wardround("audit", f"./{name}", *options)
    assert code == 1 and f"{name} {NO_RUN}" in said


def test_a_command_with_something_to_work_on_is_the_command(wardround: Wardround) -> None:
    for name in ("run", "verify", "key", "dossier"):
        Path(name).mkdir()
    assert NO_RUN in wardround("audit", "run", "verify")[1]
    code, said = wardround("audit", "verify", "dossier")
    assert code == 1 and NO_RUN not in said
    code, said = wardround("audit", "verify", "--signer", "1234", "dossier")
    assert code == 1 and NO_RUN not in said
    code, said = wardround("audit", "key", "dossier")
    assert code == 0 and Path("dossier", "identity.key").is_file()
    assert "--signer" in wardround("audit", "verify", "--help")[1]


@pytest.mark.parametrize("name", ["run", "verify", "key"])
def test_a_command_alone_says_what_it_lacks_where_no_folder_has_its_name(wardround: Wardround, name: str) -> None:
    code, said = wardround("audit", name)
    assert code == 2 and "Missing argument" in said
