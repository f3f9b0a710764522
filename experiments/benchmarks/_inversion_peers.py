"""Runs beside breaching, in its own Python: its attacks on the gradients of `bench inversion`.

Called as `python _inversion_peers.py PROBLEMS.pt RESULTS.npz SECONDS`; imports nothing of this project.
"""

from __future__ import annotations

import logging
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

ITERATIONS_TIMED = (20, 100)
ATTACKS = ("modern", "invertinggradients")


def declare_missing_operators() -> Any:
    """Two schemas without which torchvision, of another build than torch, cannot be imported."""
    library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return library


def configuration(breaching: Any, attack: str, iterations: int, steps: int) -> Any:
    """The library's own settings of an attack; only the number of iterations is ours.

    Its prior of the last layer's features does not run where local steps are simulated, and is left out there.
    """
    settings = breaching.get_attack_config(attack)
    if steps:
        settings.regularization = {name: part for name, part in settings.regularization.items() if name != "features"}
    settings.optim.max_iterations = iterations
    settings.optim.callback = 10**9
    return settings


def reconstruct(breaching: Any, attack: str, problem: Any, network: Any, iterations: int) -> tuple[Any, float]:
    """(1, 3, 32, 32) and the CPU seconds it took."""
    setup = {"dtype": torch.float, "device": torch.device("cpu")}
    loss = torch.nn.CrossEntropyLoss()
    settings = configuration(breaching, attack, iterations, problem["steps"])
    attacker = breaching.attacks.prepare_attack(network, loss, settings, setup)
    label = torch.tensor([problem["label"]])
    local = None
    if problem["steps"]:
        local = {
            "steps": problem["steps"],
            "data_per_step": 1,
            "lr": problem["learning_rate"],
            "labels": [label] * problem["steps"],
        }
    about = SimpleNamespace(
        shape=(3, 32, 32), mean=(problem["mean"],) * 3, std=(problem["std"],) * 3, modality="vision"
    )
    payload = [{"parameters": list(network.parameters()), "buffers": None, "metadata": about}]
    shared = [
        {
            "gradients": list(problem["captured"]),
            "buffers": None,
            "metadata": {"num_data_points": 1, "labels": label, "local_hyperparams": local},
        }
    ]
    torch.manual_seed(0)
    begin = time.process_time()
    found, _ = attacker.reconstruct(payload, shared, {}, dryrun=False)
    return found["data"].detach().numpy(), time.process_time() - begin


def iterations_that_fit(breaching: Any, attack: str, problem: Any, network: Any, seconds: float) -> int:
    """By the line through two timings: what is spent before the first iteration is not spent on every one."""
    few, more = ITERATIONS_TIMED
    _, short = reconstruct(breaching, attack, problem, network, few)
    _, longer = reconstruct(breaching, attack, problem, network, more)
    each = max(longer - short, 1e-6) / (more - few)
    return max(more, few + int((seconds - short) / each))


def main(problems_file: Path, results_file: Path, seconds: float) -> None:
    """Every attack on every problem, with as many iterations as fit the CPU seconds."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)
    _library = declare_missing_operators()
    import breaching  # type: ignore[import-not-found]

    given = torch.load(problems_file, weights_only=False)
    results: dict[str, Any] = {}
    for attack in ATTACKS:
        fitting: dict[str, int] = {}
        for index, problem in enumerate(given["problems"]):
            name = problem["network"]
            network = given["networks"][name]
            if name not in fitting:
                fitting[name] = iterations_that_fit(breaching, attack, problem, network, seconds)
            image, spent = reconstruct(breaching, attack, problem, network, fitting[name])
            results[f"{attack}/{index}/image"], results[f"{attack}/{index}/seconds"] = image, spent
    np.savez(results_file, **results)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
