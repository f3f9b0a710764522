"""MLflow, by its client: one experiment a study's title, one run a run folder.

Where it is told is MLflow's own setting, MLFLOW_TRACKING_URI, and is this machine's matter, not the study's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from itertools import islice
from time import time
from typing import Any

from common.errors import StudyError
from experiments.tracking.told import Scalar, in_a_line

ABSENT = "MLflow is not installed: pip install 'wardround[tracking]'."
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""A server that is not there is given up on in seconds, not minutes; who sets these keeps their own."""
MOST_METRICS, MOST_PARAMS, LONGEST_VALUE = 1000, 100, 500
"""Of one request, as MLflow takes them."""
_REFUSED = re.compile(r"[^\w./ -]")


@dataclass
class MLflow:
    """uri: where it is told; "" for MLflow's own setting."""

    uri: str = ""
    _client: Any = field(default=None, init=False)
    _run: str = field(default="", init=False)

    def __post_init__(self) -> None:
        for key, value in PATIENCE.items():
            os.environ.setdefault(key, value)
        try:
            self._client = import_module("mlflow").MlflowClient(self.uri or None)
        except ImportError as error:
            raise StudyError(ABSENT) from error
        except Exception as error:
            raise StudyError(f"MLflow cannot be told there: {in_a_line(error)}") from error

    def begin(self, title: str, name: str, settings: Mapping[str, str]) -> None:
        """A run in the experiment of the study's title, its settings as parameters."""
        known = self._client.get_experiment_by_name(title)
        experiment = known.experiment_id if known else self._client.create_experiment(title)
        self._run = self._client.create_run(experiment, run_name=name).info.run_id
        param = import_module("mlflow.entities").Param
        params = [param(_allowed(key), value[:LONGEST_VALUE]) for key, value in settings.items()]
        for some in _parts(params, MOST_PARAMS):
            self._client.log_batch(self._run, params=some)

    def log(self, scalars: list[Scalar]) -> None:
        """One metric a number; its step is the round."""
        metric, now = import_module("mlflow.entities").Metric, int(time() * 1000)
        metrics = [metric(_allowed(one.name), one.value, now, one.round) for one in scalars]
        for some in _parts(metrics, MOST_METRICS):
            self._client.log_batch(self._run, metrics=some)

    def end(self, state: str, facts: Mapping[str, str]) -> None:
        """Facts as tags, and the run's state in MLflow's words."""
        for key, value in facts.items():
            self._client.set_tag(self._run, _allowed(key), value)
        self._client.set_terminated(self._run, "FINISHED" if state == "completed" else "FAILED")


def _allowed(name: str) -> str:
    """MLflow takes letters, digits, and few signs; what else a hospital's name holds is written as its code."""
    return _REFUSED.sub(lambda found: f"-u{ord(found[0]):x}-", name)


def _parts(items: list[Any], most: int) -> Iterator[list[Any]]:
    rest = iter(items)
    while part := list(islice(rest, most)):
        yield part
