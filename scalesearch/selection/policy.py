"""The policies: which trials to train next, from the losses known so far. Pure: no study, no torch.

A policy is called again and again with all that is known, and decides from that alone. So a search
that was interrupted goes on as if it had not been, and any policy can be replayed against a table.
"""

from scalesearch.selection.adaptive import adaptive
from scalesearch.selection.losses import Curves
from scalesearch.selection.terms import Decision, Policy, Terms, missing


def grid(curves: Curves, terms: Terms) -> Decision:
    """Every network with every seed to the last epoch."""
    keys = (terms.baseline, *terms.candidates)
    asks = missing(curves, terms, keys, range(terms.seeds), terms.epochs)
    return Decision(asks, {}, "" if asks else "every trial of the grid was trained")


POLICIES: dict[str, Policy] = {"adaptive": adaptive, "grid": grid}
