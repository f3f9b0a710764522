"""What only experiments can run: engines, which a study names, and what audits and benchmarks are made of."""

from __future__ import annotations

from common.study import catalogue
from common.study.catalogue import Catalogue

ENGINES = catalogue.ENGINES
BENCHMARKS = Catalogue("benchmark", "experiments.benchmarks", "experiments.benchmark:Benchmark")
ATTACKS = Catalogue(
    "attack",
    "experiments.attacks",
    "experiments.attack:Attack",
    beside="experiments.attack:Declared",
)
QUESTIONS = Catalogue(
    "question",
    "experiments.audit.questions",
    "experiments.question:Question",
    beside="experiments.question:Declared",
)
ADVERSARIES = Catalogue(
    "adversary",
    "experiments.audit.adversaries",
    "experiments.adversary:Adversary",
    beside="experiments.adversary:Declared",
)
