"""Words of an audit's page for someone who never trained a model."""

from __future__ import annotations

WORDS = {
    "update": "what training on its patients changed in the model; it is what a hospital sends instead of data",
    "epsilon": "a bound on how much more likely any conclusion can become by one patient's data being there or not",
    "delta": "the small chance, roughly, that the bound of epsilon does not hold",
    "likeness": "structural similarity (SSIM): 1 for equal images, about 0 for unrelated ones",
    "PSNR": "the size of the error against the range of values, in decibels: 30 is hard to tell from the original",
    "area under the curve": "the chance that an attack ranks a patient of the study above another; 0.5 is guessing",
    "to collude": "to tell the coordinator what one sent, so that it can take that out of a sum",
    "secagg, bfv, ckks, additive": "ways to add up updates so that nobody reads a single one",
}

ATTACKS = {
    "analytic": "reads inputs off the gradient of a first layer that is linear",
    "bottleneck": "computes what a narrow layer saw of a single case, and searches for an image that gives it",
    "matching": "moves a random image until a hospital's network gives the update that was seen",
    "multi_step": "the same, with every local step of a hospital's training made again",
    "inverting_gradients": "the same by the direction of the update, under a prior for smooth images",
    "dlg": "the same by the size of the difference, labels searched as well",
    "deep_image_prior": "the same, with images only as an untrained network can draw them",
    "imprint": "a model that sorts a hospital's cases by brightness and copies them into its answer",
    "blurred imprint": "the same under a little noise, so that a hospital's check does not know it",
    "loss_threshold": "calls a patient a member where the final model is surprisingly right about the case",
    "losses_over_rounds": "the same, from how the error on the case fell over the rounds",
    "gradient_cosines": "asks whether what hospitals sent points the way that training on the case would",
    "lira_online": "compares the final model with models trained with and without the case",
    "lira_offline": "compares the final model with models trained without the case",
    "rmia": "compares how the case and other people's cases fare under the final and under other models",
    "differences of sums": "adds and subtracts the sums that were opened, until as few hospitals as can be are left",
    "two sums that differ": "asks hospitals for the sum of all, and once more without one of them",
    "label_counts": "reads off the last layer how many cases of each diagnosis an update rests on",
    "gradient_canaries": "plants signals in the training and counts how many can be told from noise afterwards",
    "canary_cases": "plants odd cases among a hospital's and counts how many the final model gives away",
    "fgsm": "changes every value of an input by one step of a given size, the worst way",
    "pgd": "the same in ten small steps, within that size",
}
"""Of each attack, what it does."""
