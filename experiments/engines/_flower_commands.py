"""Flower's own commands, in an environment where nothing calls home, installs, or reaches this machine by a proxy."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from common.errors import EngineError
from experiments.engine import QUIET, without_proxy
from experiments.engines import _flower_program
from experiments.engines._flower_process import FlowerProcess
from experiments.engines._flower_program import EACH
from experiments.engines._run_secrets import LOOPBACK, RunSecrets

FEDERATION = "wardround"
LONGEST_COMMAND_S = 300.0


@dataclass(frozen=True)
class FlowerCommands:
    """programs: where the scripts are that run Flower's programs. home: of those who command the SuperLink.

    plugins: a folder of modules that a study names. more: further variables of the environment.
    """

    programs: Path
    home: Path
    secrets: RunSecrets
    plugins: Path | None = None
    more: tuple[tuple[str, str], ...] = ()

    def command_link(self, port: int) -> None:
        """Say which SuperLink the commands are for."""
        (self.home / "config.toml").write_text(
            f'[superlink]\ndefault = "{FEDERATION}"\n\n[superlink.{FEDERATION}]\n'
            f'address = "{LOOPBACK}:{port}"\nroot-certificates = "{self.secrets.authority}"\n',
            encoding="utf-8",
        )

    def ready(self) -> None:
        """Start what runs commands before the first is asked for."""
        self._process.start()

    def end(self) -> None:
        """End what runs commands; the next one starts it again."""
        self._process.end()

    def say(self, *arguments: str, longest_s: float = LONGEST_COMMAND_S) -> dict[str, Any]:
        """What a command of Flower's says in JSON. Raises EngineError with its last words where it says none."""
        name = f"flwr {arguments[0]}"
        code, said = self._process.run([*arguments, "--format", "json"], longest_s)
        try:
            found = json.loads(said) if code == 0 else None
        except json.JSONDecodeError as error:
            raise EngineError(f"{name} said something that is not JSON: {said[-800:]}") from error
        if not isinstance(found, dict):
            raise EngineError(f"{name} failed: {said.strip()[-800:] or self._process.last_words()}")
        return found

    def say_each(
        self, commands: Sequence[Sequence[str]], longest_s: float = LONGEST_COMMAND_S
    ) -> list[dict[str, Any]]:
        """What each of several commands says in JSON; {} of one that failed. Raises EngineError where none ran."""
        return [_table(self._process.run([*words, "--format", "json"], longest_s)[1]) for words in commands]

    @cached_property
    def _process(self) -> FlowerProcess:
        return FlowerProcess(self.programs / EACH, self.environment(self.home), self.home)

    def environment(self, home: Path) -> Mapping[str, str]:
        """The person's own, but none of Flower's switches (some open ports) and no proxy between us and loopback."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("FLWR_")}
        modules = [inherited.get("PYTHONPATH", ""), *([str(self.plugins)] if self.plugins else [])]
        found_first = (str(self.programs), str(Path(sys.executable).parent), os.environ.get("PATH", ""))
        return {
            **inherited,
            **QUIET,
            "FLWR_HOME": str(home),
            "PYTHONPATH": os.pathsep.join(one for one in modules if one),
            "PATH": os.pathsep.join(found_first),
            "PYTHONWARNINGS": "default",
            **without_proxy(os.environ),
            _flower_program.AUTHORITY: str(self.secrets.authority),
            _flower_program.CONNECTING: str(self.secrets.connecting),
            **dict(self.more),
        }


def _table(said: str) -> dict[str, Any]:
    try:
        found = json.loads(said)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
