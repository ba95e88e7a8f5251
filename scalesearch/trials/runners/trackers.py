"""Experiment trackers, by Ray's own callbacks: MLflow and Weights & Biases."""

from pathlib import Path

from ray import tune

from scalesearch.errors import ParameterError


def callbacks(names: list[str], study: Path) -> list[tune.Callback]:
    """Ray's callback of each tracker; runs are grouped under the study's name.

    Where the tracker's own environment variables (MLFLOW_TRACKING_URI, WANDB_*) say nothing, what
    it writes stands in the study's directory. Raises ValueError where it is not installed.
    """
    return [mlflow(study) if name == "mlflow" else wandb(study) for name in names]


def mlflow(study: Path) -> tune.Callback:
    """Ray's callback for MLflow."""
    import os

    from ray.air.integrations.mlflow import MLflowLoggerCallback

    needs("mlflow")
    place = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{study.resolve()}/mlflow.db"
    callback: tune.Callback = MLflowLoggerCallback(tracking_uri=place, experiment_name=study.name)
    return callback


def wandb(study: Path) -> tune.Callback:
    """Ray's callback for Weights & Biases."""
    from ray.air.integrations.wandb import WandbLoggerCallback

    needs("wandb")
    callback: tune.Callback = WandbLoggerCallback(
        project="scalesearch", group=study.name, dir=str(study)
    )
    return callback


def needs(package: str) -> None:
    """Raises ValueError where a tracker's package is not installed."""
    import importlib.util

    if importlib.util.find_spec(package) is None:
        raise ParameterError("log", f"{package} needs its package: pip install {package}")
