"""Spaces: what a file in `search_spaces/` declares."""
