"""Runners: they take trials from a desk, run them, and hand the metrics back to it."""

from scalesearch.trials.runners.desk import Desk

__all__ = ["Desk"]
