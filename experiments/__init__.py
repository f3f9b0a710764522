"""Studies, engines, benchmarks and the command line. None of this code is carried to a hospital."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

for _name in ("common", "client", "server"):
    _spec = find_spec(_name)
    _found = Path(_spec.origin) if _spec is not None and _spec.origin else None
    if _found is None or _found.resolve().parents[1] != Path(__file__).resolve().parents[1]:
        raise ImportError(
            f"Wardround's own package '{_name}' is hidden by {_found or 'a folder without __init__.py'}: start from "
            "another folder, give that file another name, or take its folder out of PYTHONPATH."
        )

if TYPE_CHECKING:
    from experiments.access import Access as Access
    from experiments.adversary import Adversary as Adversary
    from experiments.adversary import View as View
    from experiments.attack import Attack as Attack
    from experiments.attack import Finding as Finding
    from experiments.attack import Membership as Membership
    from experiments.attack import Reconstruction as Reconstruction
    from experiments.attack import Sees as Sees
    from experiments.benchmark import Benchmark as Benchmark
    from experiments.benchmark import Cell as Cell
    from experiments.benchmark import Measured as Measured
    from experiments.benchmark import Target as Target
    from experiments.engine import Engine as Engine
    from experiments.engine import RunConfig as RunConfig
    from experiments.observation import Observation as Observation
    from experiments.question import Attempt as Attempt
    from experiments.question import Plant as Plant
    from experiments.question import Question as Question
else:
    from common.lazy_exports import handed_on

    __getattr__ = handed_on(
        __name__,
        {
            "access": ("Access",),
            "adversary": ("Adversary", "View"),
            "attack": ("Attack", "Finding", "Membership", "Reconstruction", "Sees"),
            "benchmark": ("Benchmark", "Cell", "Measured", "Target"),
            "engine": ("Engine", "RunConfig"),
            "observation": ("Observation",),
            "question": ("Attempt", "Plant", "Question"),
        },
    )
