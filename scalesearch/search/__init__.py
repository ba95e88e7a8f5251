"""The search: the loop that drives trials, and what is shown while they run."""
