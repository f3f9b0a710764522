"""The same federated averaging by other programs, each a process of its own: a bare loop, pfl-research, Flower's own.

Run as `python _scale_peers.py PROGRAM SETTINGS.json`. It needs nothing of this project, so that a Python that has the
peer alone can run it. After every round a line is added to the file `marks`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

STEPS, BATCH, RATE, CLASSES = 6, 10, 0.05, 10
Settings = dict[str, Any]


def network(settings: Settings) -> nn.Module:
    """Two hidden layers of one width."""
    width, features = int(settings["width"]), int(settings["features"])
    hidden = [nn.Linear(features, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
    return nn.Sequential(*hidden, nn.Linear(width, CLASSES))


def data_of(settings: Settings) -> Callable[[int], tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Inputs and classes of a hospital: its equal part of one pool."""
    folder = Path(settings["data"])
    inputs, classes = np.load(folder / "x.npy", mmap_mode="r"), np.load(folder / "y.npy")
    each = len(classes) // int(settings["hospitals"])
    return lambda index: (inputs[index * each : (index + 1) * each], classes[index * each : (index + 1) * each])


def mark(settings: Settings) -> None:
    """A round is done."""
    with Path(settings["marks"]).open("a", encoding="utf-8") as file:
        file.write("round\n")


def batches(inputs: Any, classes: Any, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """STEPS of them, drawn from a hospital's cases."""
    order = rng.permutation(len(classes))
    for step in range(STEPS):
        rows = np.sort(order[np.arange(step * BATCH, (step + 1) * BATCH) % len(order)])
        yield torch.from_numpy(np.array(inputs[rows])), torch.from_numpy(np.array(classes[rows]))


def train(model: nn.Module, inputs: Any, classes: Any, rng: np.random.Generator) -> None:
    """Plain SGD."""
    optimiser = torch.optim.SGD(model.parameters(), lr=RATE)
    for x, y in batches(inputs, classes, rng):
        optimiser.zero_grad()
        cross_entropy(model(x), y).backward()  # type: ignore[no-untyped-call]
        optimiser.step()


def loop(settings: Settings) -> None:
    """Nothing but training and an average: what any program has to do."""
    rng, model, part = np.random.default_rng(1), network(settings), data_of(settings)
    for _ in range(int(settings["rounds"])):
        total = [torch.zeros_like(parameter, dtype=torch.float64) for parameter in model.parameters()]
        drawn = rng.choice(int(settings["hospitals"]), int(settings["cohort"]), replace=False)
        for index in drawn:
            trained = deepcopy(model)
            train(trained, *part(int(index)), rng)
            total = [into + own.detach() for into, own in zip(total, trained.parameters(), strict=True)]
        with torch.no_grad():
            for parameter, into in zip(model.parameters(), total, strict=True):
                parameter.copy_(into / len(drawn))
        mark(settings)


def pfl(settings: Settings) -> None:
    """pfl-research's FederatedAveraging in its simulated backend."""
    import_module("pfl.internal.ops.selector").set_framework_module(import_module("pfl.internal.ops.pytorch_ops"))
    datasets, federated = import_module("pfl.data.dataset"), import_module("pfl.data.federated_dataset")
    sampling, algorithm = import_module("pfl.data.sampling"), import_module("pfl.algorithm")
    hyper, metrics = import_module("pfl.hyperparam"), import_module("pfl.metrics")
    callback = import_module("pfl.callback.base")
    part, hospitals = data_of(settings), int(settings["hospitals"])
    ids, cohort = [str(index) for index in range(hospitals)], int(settings["cohort"])

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = network(settings)

        def loss(self, x: Tensor, y: Tensor, is_eval: bool = False) -> Tensor:
            """Mean over the batch."""
            return cross_entropy(self.layers(x), y)

        def metrics(self, x: Tensor, y: Tensor) -> dict[str, Any]:
            """None is asked for."""
            return {}

    class Marks(callback.TrainingProcessCallback):  # type: ignore[name-defined,misc]
        def after_central_iteration(self, *_: Any, **__: Any) -> tuple[bool, Any]:
            """Of the file."""
            mark(settings)
            return False, metrics.Metrics()

    def dataset(user: str) -> Any:
        inputs, classes = part(int(user))
        rows = np.arange(STEPS * BATCH) % len(classes)
        raw = [torch.from_numpy(np.array(inputs[rows])), torch.from_numpy(np.array(classes[rows]))]
        return datasets.Dataset(raw_data=raw, user_id=user)

    chosen = federated.FederatedDataset(dataset, sampling.get_user_sampler("random", ids))
    net = Net()
    model = import_module("pfl.model.pytorch").PyTorchModel(
        net, torch.optim.SGD, torch.optim.SGD(net.parameters(), lr=1.0)
    )
    algorithm.FederatedAveraging().run(
        algorithm_params=algorithm.NNAlgorithmParams(
            central_num_iterations=int(settings["rounds"]),
            evaluation_frequency=1 << 30,
            train_cohort_size=cohort,
            val_cohort_size=0,
        ),
        backend=import_module("pfl.aggregate.simulate").SimulatedBackend(training_data=chosen, val_data=None),
        model=model,
        model_train_params=hyper.NNTrainHyperParams(
            local_num_epochs=1, local_learning_rate=RATE, local_batch_size=BATCH
        ),
        model_eval_params=None,
        callbacks=[Marks()],
    )


def flower(settings: Settings) -> None:
    """Flower's own FedAvg and its simulation on Ray."""
    apps, clients, servers = (import_module(f"flwr.{name}") for name in ("app", "clientapp", "serverapp"))
    strategies, simulation = import_module("flwr.serverapp.strategy"), import_module("flwr.simulation")
    client, server = clients.ClientApp(), servers.ServerApp()

    @client.train()  # type: ignore[untyped-decorator]
    def train_one(message: Any, context: Any) -> Any:
        index = int(context.node_config["partition-id"])
        model, rng = network(settings), np.random.default_rng(index)
        model.load_state_dict(message.content["arrays"].to_torch_state_dict())
        inputs, classes = data_of(settings)(index)
        train(model, inputs, classes, rng)
        told = apps.MetricRecord({"num-examples": len(classes)})
        content = apps.RecordDict({"arrays": apps.ArrayRecord(model.state_dict()), "metrics": told})
        return apps.Message(content, reply_to=message)

    class Marked(strategies.FedAvg):  # type: ignore[name-defined,misc]
        def aggregate_train(self, *given: Any, **named: Any) -> Any:
            """And a mark."""
            found = super().aggregate_train(*given, **named)
            mark(settings)
            return found

    @server.main()  # type: ignore[untyped-decorator]
    def main(grid: Any, context: Any) -> None:
        share = int(settings["cohort"]) / int(settings["hospitals"])
        fit = Marked(fraction_train=share, fraction_evaluate=0.0, min_train_nodes=2, min_available_nodes=2)
        begun = apps.ArrayRecord(network(settings).state_dict())
        fit.start(grid=grid, initial_arrays=begun, num_rounds=int(settings["rounds"]))

    resources = {"client_resources": {"num_cpus": 1.0, "num_gpus": 0.0}, "init_args": {"log_to_driver": False}}
    simulation.run_simulation(server, client, int(settings["hospitals"]), "ray", resources)


PROGRAMS: dict[str, Callable[[Settings], None]] = {"loop": loop, "pfl": pfl, "flower": flower}


if __name__ == "__main__":
    torch.set_num_threads(1)
    PROGRAMS[sys.argv[1]](json.loads(Path(sys.argv[2]).read_text(encoding="utf-8")))
