"""A loss of your own, for the tasks that take one: classification, segmentation, regression and survival."""

from torch import Tensor


def mine(logits: Tensor, targets: Tensor, gamma: float = 2.0) -> Tensor:
    """(N,): the focal loss (Lin et al. 2017), which counts cases less the surer the network is of their class.

    logits: (N, classes) or (N, classes, *S). targets: (N,) or (N, *S) class indices. gamma: an option.
    """
    right = logits.log_softmax(1).gather(1, targets.unsqueeze(1)).squeeze(1)
    losses = -((1 - right.exp()) ** gamma) * right
    return losses.flatten(1).mean(1) if losses.ndim > 1 else losses


loss = mine
