"""What only experiments can name: attacks and benchmarks."""

from __future__ import annotations

from common.study.catalogue import Catalogue

BENCHMARKS = Catalogue("benchmark", "experiments.benchmarks", "experiments.benchmark:Benchmark")
ATTACKS = Catalogue("attack", "experiments.attacks", "experiments.attack:Attack")
