"""Joining a Ray cluster, or starting one here: addresses, tokens, and the code that travels."""

import importlib.util
import json
import logging
import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import ray

from scalesearch.errors import ParameterError
from scalesearch.networks.custom import PREFIX
from scalesearch.scratch import scratch
from scalesearch.trials.runners.local import (
    on_loopback,
    signals_are_ours,
    start_options,
    unheard,
    with_token,
)
from scalesearch.trials.runners.session import session

PACKAGE = Path(__file__).parents[2]
CONNECT_SECONDS = 5.0
# Tune's own output, result files and change of directory would all stand beside the study's; and
# the first interrupt is the driver's own to handle
ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}


@contextmanager
def joined(
    address: str | None, workers: int | None, functions: Sequence[str], verbose: bool = False
) -> Iterator[None]:
    """Be part of the Ray cluster at `address`, or of one started here with so many CPUs.

    Ray is silent unless `verbose`. Workers elsewhere get this package, and the modules of
    `functions` (python:module:function), in a runtime environment. Raises ValueError, in one line,
    where the cluster cannot be joined.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # the driver hears of every failure
    logging.getLogger("ray.tune").setLevel(logging.INFO if verbose else logging.CRITICAL)
    level = logging.INFO if verbose else logging.ERROR
    place: AbstractContextManager[None]
    with session() if address is None else scratch() as folder:
        if address is None:
            with_token()
            options, place = start_options(workers, folder), on_loopback()
        else:
            reachable(address)
            travels = travelling(functions, folder)
            options, place = {"address": address, "runtime_env": travels}, nullcontext()
        try:
            with place, signals_are_ours(), nullcontext() if verbose else unheard():
                ray.init(log_to_driver=verbose, logging_level=level, **options)
        except Exception as error:
            if address is None:
                raise
            raise ValueError(explained(address, error)) from error
        try:
            yield
        finally:
            ray.shutdown()


def reachable(address: str) -> None:
    """Raises ValueError where nothing listens at HOST:PORT; Ray itself would try for a minute."""
    if address == "auto":
        return
    if address.startswith("ray://"):
        raise ParameterError(
            "address",
            f"must be a cluster that this machine is part of, got {address!r}: by Ray's client "
            "Tune leaves the study's machine; run `ray job submit`, or the command itself on a "
            "node with the address auto",
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ParameterError("address", f"must be auto or HOST:PORT, got {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ParameterError(
            "address",
            f"must be that of a Ray cluster, got {address}, {error}: start one there with "
            "`ray start --head`, or name another",
        ) from None


def travelling(functions: Sequence[str], staging: Path) -> dict[str, Any]:
    """The runtime environment of workers that may stand on other machines.

    Its working directory has the user's modules or nothing: else workers would look for modules
    where the driver stands, before they look among those that are installed. A driver that was
    submitted as a job has the job's, which Ray lets nobody change.
    """
    environment: dict[str, Any] = {
        "py_modules": [str(PACKAGE)],
        "excludes": ["__pycache__"],
        "env_vars": {"OMP_NUM_THREADS": "1"},
    }
    if job_has_directory():
        return environment
    for source in {source_of(function) for function in functions} - {None}:
        assert source is not None
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, staging / source.name)
    return {**environment, "working_dir": str(staging)}


def job_has_directory() -> bool:
    """Whether this driver is a job that was submitted with its working directory."""
    job = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR") or "{}")
    return "working_dir" in (job.get("runtime_env") or {})


def source_of(function: str) -> Path | None:
    """The file or package that has a user's function; None where it is no file of its own."""
    top = function.removeprefix(PREFIX).partition(":")[0].partition(".")[0]
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None or not Path(spec.origin).exists():
        return None
    origin = Path(spec.origin)
    return origin.parent if origin.name == "__init__.py" else origin


def explained(address: str, error: Exception) -> str:
    """Why a cluster could not be joined, in one line, with what to do."""
    said = " ".join(str(error).split())
    lowered = said.lower()
    # with a wrong token Ray only says that it cannot connect, to a port that does answer
    if "token" in lowered or "unauthenticated" in lowered or "failed to connect" in lowered:
        return (
            f"the Ray cluster at {address} must let this driver in: it may be another Ray version, "
            "or its token is missing or wrong here: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN, or "
            f"RAY_AUTH_TOKEN_PATH, to the cluster's; Ray says {said}"
        )
    return f"the Ray cluster at {address} must be one to join, got {type(error).__name__}: {said}"
