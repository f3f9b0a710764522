"""What only experiments can run: engines, which a study names, and attacks and benchmarks, which commands name."""

from __future__ import annotations

from common.study import catalogue
from common.study.catalogue import Catalogue

ENGINES = catalogue.ENGINES
BENCHMARKS = Catalogue("benchmark", "experiments.benchmarks", "experiments.benchmark:Benchmark")
ATTACKS = Catalogue("attack", "experiments.attacks", "experiments.attack:Attack")
