"""Families: archs scaled up to measured costs, and others matched to them."""
