"""A Ray cluster of several nodes on this machine: real `ray start` processes, a token, loopback."""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ALIVE = (
    "import sys, ray; ray.init(sys.argv[1], log_to_driver=False, logging_level='ERROR'); "
    "print('alive:', sum(node['Alive'] for node in ray.nodes()))"
)
RAY = str(Path(sys.executable).with_name("ray"))


def free_port() -> int:
    """A port that nothing listens at, below those that Ray's workers take."""
    for port in range(7301 + os.getpid() % 500, 9000):
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)):
                return port
    raise OSError("no port is free")


@dataclass
class Cluster:
    """A head without CPUs, and nodes of one CPU each; every process group by its node's name."""

    temp: str
    port: int = field(default_factory=free_port)
    token: str = field(default_factory=lambda: secrets.token_hex(20))
    nodes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "RAY_USAGE_STATS_ENABLED": "0",
        }

    def start(self, name: str) -> None:
        """Start the head, and wait until it can be joined; or a node."""
        where = ["--node-ip-address", "127.0.0.1", "--block", "--disable-usage-stats"]
        if name == "head":
            where += ["--head", "--port", str(self.port), "--num-cpus", "0"]
            where += ["--include-dashboard", "false", "--temp-dir", self.temp]
        else:
            where += ["--address", self.address, "--num-cpus", "1"]
        self.nodes[name] = subprocess.Popen(
            [RAY, "start", *where],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if name == "head":
            self.ready()

    def join(self, name: str) -> None:
        """Start a node, one after the other, and wait for its raylet, until that stays.

        Ray looks for free ports before it binds them; now and then another process is quicker.
        """
        for _ in range(5):
            self.start(name)
            for _ in range(200):
                if self.process(name, "raylet") is not None:
                    break
                time.sleep(0.1)
            time.sleep(1.5)
            if self.process(name, "raylet") is not None:
                return
            self.stop(name)
        raise TimeoutError(f"node {name} did not start")

    def ready(self) -> None:
        """Wait until every node is part of the cluster."""
        for _ in range(20):
            if (alive := self.alive()) == len(self.nodes):
                return
            time.sleep(1)
        raise TimeoutError(f"only {alive} of {len(self.nodes)} nodes have joined")

    def alive(self) -> int:
        """How many nodes the head knows to be alive, itself among them."""
        asked = subprocess.run(
            [sys.executable, "-c", ALIVE, self.address],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        found = re.search(r"^alive: (\d+)$", asked.stdout, re.MULTILINE)  # Ray prints there too
        return int(found[1]) if found else 0

    def kill(self, name: str, process: str) -> None:
        """SIGKILL a node's raylet, or the head's gcs_server, by name; what it held goes with it."""
        pid = self.process(name, process)
        assert pid is not None, f"{name} has no {process}"
        os.kill(pid, signal.SIGKILL)

    def process(self, name: str, process: str) -> int | None:
        """The process of that name that a node has; None where it has none."""
        for pid in below(self.nodes[name].pid):
            try:
                if process in Path(f"/proc/{pid}/comm").read_text():
                    return pid
            except OSError:  # it has just ended
                continue
        return None

    def stop(self, name: str) -> None:
        """End what is left of a node."""
        node = self.nodes.pop(name)
        pids = [*below(node.pid), node.pid]
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        node.wait()


def below(pid: int) -> list[int]:
    """Processes below `pid`, however deep."""
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    children = [int(word) for word in found.stdout.split()]
    return children + [inner for child in children for inner in below(child)]


@contextmanager
def cluster(*names: str) -> Iterator[Cluster]:
    """A cluster with a head and those nodes."""
    temp = tempfile.mkdtemp(prefix="ss", dir="/tmp")  # sockets' paths must be short
    made = Cluster(temp)
    try:
        made.start("head")
        for name in names:
            made.join(name)
        made.ready()
        yield made
    finally:
        for name in list(made.nodes):
            made.stop(name)
        shutil.rmtree(temp, ignore_errors=True)
