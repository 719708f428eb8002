"""How this process gets memory from the system, and keeps what TensorFlow frees."""

import ctypes
import os
import sys
from pathlib import Path

from kdcn_tf.workers import cores

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -2, -3, -8  # of malloc.h
_LARGEST = 32 << 20  # glibc takes no larger threshold for mmap
_NEVER = (1 << 31) - 1
_TOP_PAD = 64 << 20
_ARENAS_PER_CORE = 2

_TUNABLES, _HUGE_PAGES = "GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"
_HUGE_PAGES_ARE_FOR = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def keep_freed() -> None:
    """Lets the C library's malloc use freed memory again instead of giving it back to the system.

    A step frees and allocates some megabytes for each of its operations, and every new page costs a fault:
    about a third of a step's time. Threads share a few heaps, as what one of them frees is then at hand for the next.
    Peak memory stays what it is. Without glibc nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    for name, value in (
        (_M_MMAP_THRESHOLD, _LARGEST),
        (_M_TRIM_THRESHOLD, _NEVER),
        (_M_TOP_PAD, _TOP_PAD),
        (_M_ARENA_MAX, _ARENAS_PER_CORE * cores()),
    ):
        mallopt(name, value)


def restart_with_huge_pages() -> None:
    """Starts the program of this process anew, with a C library that asks the system for huge pages.

    A step reads rows that lie all over a table; with pages of 4 KiB each of them also misses the TLB. Linux gives huge
    pages to all, to none, or (its usual setting) to those that ask, and glibc reads whether to ask as a process begins.
    Returns where there is nothing to ask for, and in the new program: process id, files and arguments stay. So does a
    GLIBC_TUNABLES of the user's own.
    """
    try:
        on_demand = "[madvise]" in _HUGE_PAGES_ARE_FOR.read_text(encoding="ascii")
    except OSError:
        return
    if on_demand and _TUNABLES not in os.environ:
        os.environ[_TUNABLES] = _HUGE_PAGES
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
