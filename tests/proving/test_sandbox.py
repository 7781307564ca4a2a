"""What a worker process may use, as the system holds it."""

from __future__ import annotations

import subprocess
import sys

LIMITED = """
import resource
from mlir_datagen.proving.sandbox import limit_memory, limit_processor_time

def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime

def data():
    return int(open("/proc/self/statm").read().split()[5]) * resource.getpagesize()

before = used(), data()
limit_processor_time(5)
limit_memory(1 << 28)
seconds, memory = resource.getrlimit(resource.RLIMIT_CPU)[0], resource.getrlimit(resource.RLIMIT_DATA)[0]
assert 5 <= seconds - before[0] < 7, (seconds, before)
assert 0 <= memory - before[1] - (1 << 28) < 1 << 24, (memory, before)
held = bytearray((1 << 28) - (1 << 24))
try:
    bytearray(1 << 25)
except MemoryError:
    print("limited")
"""


def test_the_limits_are_those_that_are_asked_for():
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "limited\n"), done.stderr
