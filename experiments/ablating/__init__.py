"""Ablation: training again without a hospital, a column or a region, and what the score loses."""
