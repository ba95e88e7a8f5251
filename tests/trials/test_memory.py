"""What a step frees the next one gets, without a page made anew."""

import platform
import subprocess
import sys

import pytest

COUNT = """
import resource
from scalesearch.trials.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    b"x" * 2**26  # 64 MiB, written
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

freely = [faults() for _ in range(3)][-1]
keep_freed_memory()
print(freely, [faults() for _ in range(3)][-1])
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="an allocator of another kind")
def test_freed_memory_is_kept_for_the_next_step() -> None:
    ran = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, check=True)
    freely, kept = map(int, ran.stdout.split())
    assert kept < 100 < freely
