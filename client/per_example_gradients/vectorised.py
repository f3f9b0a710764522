"""One case's gradient as a function, run on all cases at once by `torch.func.vmap`."""

from __future__ import annotations

from torch import Tensor
from torch.func import functional_call, grad, vmap

from client.clipping import CaseLoss, Whole, clip_and_add, plainly_laid_out
from common.data.cases import Batch
from common.sums.update import Vector


def by_vectorising(loss: CaseLoss, batch: Batch, clip_norm: float) -> Vector:
    """See ClippedSum. NotImplementedError where the network uses what vmap has no rule for."""
    loss = CaseLoss(loss.task, plainly_laid_out(loss.network), loss.precision)
    parameters = {
        name: parameter.detach() for name, parameter in sorted(loss.named_parameters()) if parameter.requires_grad
    }
    first = batch.take([0])
    columns = {name: values for name, values in batch.columns.items() if isinstance(values, Tensor)}

    def of_case(parameters: dict[str, Tensor], values: dict[str, Tensor]) -> Tensor:
        one = first.with_columns(**{name: value[None] for name, value in values.items()})
        value: Tensor = functional_call(loss, parameters, (one,)).sum()
        return value

    try:
        gradients = vmap(grad(of_case), in_dims=(None, 0), randomness="different")(parameters, columns)
    except RuntimeError as error:
        raise NotImplementedError(f"torch.func.vmap cannot run this network: {error}") from error
    return clip_and_add([Whole(gradient) for gradient in gradients.values()], clip_norm)
