"""Runners: they ask for trials, run them, and tell what became of them."""

from scalesearch.trials.runners.ask_tell import AskTell

__all__ = ["AskTell"]
