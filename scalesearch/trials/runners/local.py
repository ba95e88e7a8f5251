"""Ray started here: for this process alone, on the loopback, with a token; signals stay ours."""

import os
import secrets
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ray._private import ray_constants, services
from ray._private import utils as ray_utils
from ray._private import worker as ray_worker
from ray._raylet import Config  # type: ignore[attr-defined]
from ray.job_config import JobConfig

MODE = "RAY_AUTH_MODE"


def start_options(workers: int | None, folder: Path) -> dict[str, Any]:
    """What ray.init is given to start a Ray of so many CPUs here, its session in that folder.

    Its workers do not look for modules where the user stands, as Ray's do before they look among
    those that are installed; `load_function` looks there last, for the one that a space names.
    """
    # Ray leaves the directory out for jobs of its client, whose driver stands elsewhere
    job = JobConfig(_client_job=True)
    return {
        "address": "local",  # not that of RAY_ADDRESS
        "num_cpus": workers,
        "include_dashboard": False,
        "job_config": job,
        "_node_ip_address": "127.0.0.1",
        "_temp_dir": str(folder),
    }


@contextmanager
def on_loopback() -> Iterator[None]:
    """Ray takes the loopback at its word: on Linux it would put the machine's own address in its
    place, which every process of it then listens at."""
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


class Apart(services.ConsolePopen):
    """A process of Ray's in a group of its own, where the kernel ends it with the one that started
    it; elsewhere Ray ends the group of that one, which it then must be in."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        shares = ray_utils.detect_fate_sharing_support()  # type: ignore[no-untyped-call]
        super().__init__(*args, process_group=0 if shares else None, **kwargs)


@contextmanager
def signals_are_ours() -> Iterator[None]:
    """Ray is started in here so that a signal which is to end the run is heard by the run alone.

    A terminal, make and timeout send it to the whole group of processes. Ray's would end with it,
    before the trials that run have ended, and the run would look for them for a minute and die.
    And Ray would take SIGTERM for itself, would print a stack and leave.
    """
    before = services.ConsolePopen, ray_utils.set_sigterm_handler
    services.ConsolePopen = Apart  # type: ignore[misc]
    ray_utils.set_sigterm_handler = lambda handler: None
    try:
        yield
    finally:
        services.ConsolePopen, ray_utils.set_sigterm_handler = before  # type: ignore[misc]
        if threading.current_thread() is threading.main_thread():
            # what is written in C++ has its own, of which Python does not know
            signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM) or signal.SIG_DFL)


@contextmanager
def unheard() -> Iterator[None]:
    """A Ray that is started in here prints nothing of workers that die: a whole page, on stdout,
    where the answer stands. The runner says it, in a line."""
    before = ray_worker.listen_error_messages
    ray_worker.listen_error_messages = lambda worker, threads_stopped: None
    try:
        yield
    finally:
        ray_worker.listen_error_messages = before


def with_token() -> None:
    """Have Ray ask for its token, which other users of this machine must not read.

    RAY_AUTH_MODE and a token that the user has set stay as they are. Ray itself would write the
    token's file so that everybody can read it.
    """
    os.environ.setdefault(MODE, "token")
    Config.initialize("")  # Ray reads the environment when it is imported
    if os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH"):
        return
    path = Path.home() / ".ray" / "auth_token"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        with suppress(OSError):  # it may be mounted, and another's to keep
            path.chmod(0o600)
        return
    written = path.with_name(f".auth_token.{os.getpid()}")
    with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    try:
        with suppress(FileExistsError):  # another run was quicker
            os.link(written, path)
    finally:
        written.unlink()
