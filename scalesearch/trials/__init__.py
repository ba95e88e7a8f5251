"""Trials: one training step, one training run, one trial, and the runners of them."""
