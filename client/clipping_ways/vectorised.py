"""One case's gradient as a function, run on all cases at once by `torch.func.vmap`."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor
from torch.func import functional_call, grad, vmap

from client.clipping import CaseLoss, Whole, clip_and_add, plainly_laid_out
from common.cases import Batch
from common.update import Vector


def by_vectorising(loss: CaseLoss, batch: Batch, clip_norm: float) -> Vector:
    """See ClippedSum. NotImplementedError where the network uses what vmap has no rule for."""
    loss = CaseLoss(loss.task, plainly_laid_out(loss.network), loss.precision)
    parameters = {
        name: parameter.detach() for name, parameter in sorted(loss.named_parameters()) if parameter.requires_grad
    }
    columns = [batch.inputs, batch.targets, *(() if batch.displacement is None else (batch.displacement,))]

    def of_case(parameters: dict[str, Tensor], inputs: Tensor, targets: Tensor, *displacement: Tensor) -> Tensor:
        one = replace(
            batch,
            inputs=inputs[None],
            targets=targets[None],
            patients=batch.patients[:1],
            displacement=displacement[0][None] if displacement else None,
        )
        value: Tensor = functional_call(loss, parameters, (one,)).sum()
        return value

    every = (None, *(0 for _ in columns))
    try:
        gradients = vmap(grad(of_case), in_dims=every, randomness="different")(parameters, *columns)
    except RuntimeError as error:
        raise NotImplementedError(f"torch.func.vmap cannot run this network: {error}") from error
    return clip_and_add([Whole(gradient) for gradient in gradients.values()], clip_norm)
