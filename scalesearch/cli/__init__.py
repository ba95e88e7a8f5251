"""The command line: a few lines a command. Heavy imports stay inside the commands."""

from scalesearch.cli import data, networks, studies, train
from scalesearch.cli.base import app, main

__all__ = ["app", "data", "main", "networks", "studies", "train"]
