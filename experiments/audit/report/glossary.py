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
    "planted fault": "a mistake put into the training on purpose, such as no noise, to see whether an attack notices",
    "power": "how often planted faults are noticed: a test without it says nothing when it finds nothing",
    "singling out": "telling one person's data from all others', with or without a name",
    "linkability": "telling that two records, or a record and this study, are of the same person or group",
    "inference": "learning something about a person that one did not know, with good odds",
    "zero-out": "epsilon compares the data with the same in which one person's are replaced by nothing",
    "stock node": "Flower's own program at a hospital, which runs whatever program the server sends",
    "secagg, bfv, ckks, additive": "ways to add up updates so that nobody reads a single one",
}
