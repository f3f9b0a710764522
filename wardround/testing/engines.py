"""What every engine must do."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import psutil
import pytest
from flwr.serverapp import ServerApp

from common.errors import RoundError
from experiments.engines.inline import Inline
from wardround.testing.laws import check_options
from wardround.testing.runs import CLIENT_APP, run_on, tiny_study


class EngineTests:
    """Inherit, and bind `engine` to one. It runs a study of one round, three hospitals and a tiny network.

    keeps_processes: whether it keeps some for the next run, to be faster.
    """

    engine: Any
    keeps_processes: ClassVar[bool] = False

    @pytest.fixture
    def made(self) -> Any:
        """The engine."""
        return self.engine

    def test_its_options_are_a_frozen_dataclass_that_survives_a_copy(self, made: Any) -> None:
        """A run that is resumed has the same. Mend: @dataclass(frozen=True)."""
        check_options(made)

    def test_the_server_meets_one_node_a_hospital_and_its_settings(self, made: Any, tmp_path: Path) -> None:
        """Rounds begin with it. Mend: hand `run_config` on whole, and start as many nodes as there are `sites`."""
        met: list[tuple[int, Any]] = []
        self._run(made, lambda grid, context: met.append((len(list(grid.get_node_ids())), context)), tmp_path)
        assert len(met) == 1, "the server did not run, or more than once"
        nodes, context = met[0]
        assert nodes == 2, f"{nodes} nodes of 2 hospitals"
        assert context.run_config["rounds"] == 3, "its settings did not reach the server"

    def test_what_the_server_raises_comes_out(self, made: Any, tmp_path: Path) -> None:
        """A person has to hear why a run ended. Mend: let errors through, after every process was ended."""

        def fails(_grid: Any, _context: Any) -> None:
            raise RoundError("no round was possible, said the test.")

        with pytest.raises(RoundError, match="said the test"):
            self._run(made, fails, tmp_path)

    def test_the_model_is_the_same_bit_for_bit_and_no_process_is_left(self, made: Any, tmp_path: Path) -> None:
        """A result must not depend on where it was computed. Mend: one thread a hospital, and no draw but by
        common.seeding; end every process in a `finally`."""
        before = set(psutil.Process().children(recursive=True))
        about = run_on(made, tiny_study("federation.record_traffic=false"), tmp_path / "run")
        assert about["model_sha256"] == _inline_digest(), "another model than that of engine 'inline'"
        left = [one for one in psutil.Process().children(recursive=True) if one not in before and one.is_running()]
        assert self.keeps_processes or not left, f"{len(left)} processes are left"

    @staticmethod
    def _run(made: Any, serve: Any, folder: Path) -> None:
        server_app = ServerApp()
        server_app.main()(serve)
        made.run(
            server_app=server_app,
            client_app=CLIENT_APP,
            sites=("a", "b"),
            run_config={"rounds": 3},
            folder=folder / "run",
        )


@lru_cache(maxsize=1)
def _inline_digest() -> str:
    with TemporaryDirectory() as folder:
        about = run_on(Inline(), tiny_study("federation.record_traffic=false"), Path(folder) / "run")
    return str(about["model_sha256"])
