"""The memory that training frees: kept for the next step, or handed back at its end."""

import ctypes
import sys

# of mallopt, in glibc's malloc.h
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
KEPT = 2**28  # bytes


def keep_freed_memory() -> None:
    """Have glibc keep what this process frees, up to 256 MiB; elsewhere nothing is changed.

    It hands large blocks back to the system otherwise, and every step waits for their pages to be
    made anew: thousands of them where maps are large.
    """
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        library.mallopt(TRIM_THRESHOLD, KEPT)
        library.mallopt(MMAP_THRESHOLD, KEPT)


def hand_back_freed_memory() -> None:
    """Have glibc hand back to the system what this process has freed; elsewhere nothing is done."""
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "malloc_trim"):
        library.malloc_trim(0)
