import ctypes
import os
import subprocess
import sys

import pytest

from kdcn_tf.training import memory
from kdcn_tf.workers import cores

PROGRAM = """
import resource, sys
import numpy as np
from kdcn_tf.training.memory import keep_freed
if sys.argv[1] == "keep":
    keep_freed()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        np.ones(2_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
np.ones(2_000_000), np.ones(2_000_000)
print(faults())
"""


def test_freed_memory_is_used_again():
    # 50 arrays of 16 MB, 3,900 pages each: given back and taken anew, or kept.
    found = {
        mode: int(subprocess.run([sys.executable, "-c", PROGRAM, mode], capture_output=True, check=True).stdout)
        for mode in ("keep", "default")
    }
    assert found["keep"] < found["default"] / 10


HEAPS = """
import ctypes, re, sys, tempfile, threading
from kdcn_tf.training.memory import keep_freed
if sys.argv[1] == "keep":
    keep_freed()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.fopen.restype, libc.fopen.argtypes = ctypes.c_void_p, [ctypes.c_char_p] * 2
libc.fclose.argtypes, libc.malloc_info.argtypes = [ctypes.c_void_p], [ctypes.c_int, ctypes.c_void_p]
started = threading.Barrier(int(sys.argv[2]))
def work():
    started.wait()
    libc.malloc(1000)
    started.wait()
threads = [threading.Thread(target=work) for _ in range(started.parties)]
for thread in threads: thread.start()
for thread in threads: thread.join()
with tempfile.NamedTemporaryFile("r") as file:
    stream = libc.fopen(file.name.encode(), b"w")
    libc.malloc_info(0, stream), libc.fclose(stream)
    print(len(re.findall("<heap nr", file.read())))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="the C library isn't glibc")
def test_threads_share_heaps():
    # glibc by itself makes a heap for each of so many threads, up to 8 per core.
    command = [sys.executable, "-c", HEAPS]
    found = {
        mode: int(subprocess.run([*command, mode, str(6 * cores())], capture_output=True, check=True).stdout)
        for mode in ("keep", "default")
    }
    assert found["keep"] <= 2 * cores() < found["default"]


RESTARTS = """
import os, sys
from kdcn_tf.training import memory
print("begins", os.getpid(), flush=True)
memory.restart_with_huge_pages()
block = bytearray(b"x") * (256 << 20)
with open("/proc/self/smaps_rollup") as file:
    huge = next(line.split()[1] for line in file if line.startswith("AnonHugePages"))
print("runs", os.getpid(), sys.argv[1:], os.environ.get("GLIBC_TUNABLES"), int(huge) >> 10)
"""


def restarted(tmp_path, **environment: str) -> list[str]:
    (tmp_path / "program.py").write_text(RESTARTS)
    without = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    done = subprocess.run(
        [sys.executable, str(tmp_path / "program.py"), "a b"],
        env=without | environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


@pytest.mark.skipif(
    not memory._HUGE_PAGES_ARE_FOR.exists() or "[madvise]" not in memory._HUGE_PAGES_ARE_FOR.read_text(),
    reason="this system gives no huge pages on demand",
)
def test_the_program_restarts_once_with_huge_pages(tmp_path):
    first, second, last = restarted(tmp_path)
    assert first == second
    *_, huge = last.split()
    assert last.startswith(f"runs {first.split()[1]} ['a b'] glibc.malloc.hugetlb=1 ")
    assert int(huge) >= 200


def test_the_users_own_tunables_stay(tmp_path):
    _, last = restarted(tmp_path, GLIBC_TUNABLES="glibc.malloc.arena_max=2")
    assert "['a b'] glibc.malloc.arena_max=2" in last
