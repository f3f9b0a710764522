"""Label-efficiency of a pretraining run: what few labels make of its encoder, always beside an untrained one."""
