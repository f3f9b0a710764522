"""What only experiments can name: engines and benchmarks."""

from __future__ import annotations

from common.study.catalogue import Catalogue

ENGINES = Catalogue("engine", "experiments.engines")
BENCHMARKS = Catalogue("benchmark", "experiments.benchmarks")
ATTACKS = Catalogue("attack", "experiments.attacks")
