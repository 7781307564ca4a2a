"""What becomes of jobs whose worker processes crash, hang, want too much, or are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import worker_jobs
from processes import Processes

from mlir_datagen.errors import UserError
from mlir_datagen.proving import fork_server
from mlir_datagen.proving.pool import Pool
from mlir_datagen.proving.settings import SandboxLimits

LIMITS = SandboxLimits(seconds=1, memory_bytes=1 << 28)


def pool(workers=1, idle_seconds=60, **settings):
    return Pool(workers, LIMITS, "sandbox", idle_seconds, **settings)


def outcome(function, job, **settings):
    """Return the outcome of one job, after another in the same process; a reason is marked as one."""
    with pool(**settings) as workers:
        first, second = workers.run(worker_jobs.call, [(worker_jobs.double, 1), (function, job)], _marked)
    assert first == 2
    return second


def _marked(job, reason):
    return "ended", reason


def until(condition):
    for _ in range(3000):
        if result := condition():
            return result
        time.sleep(0.02)
    pytest.fail("it did not come to that")


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_outcomes_come_in_order():
    with pool(workers=3) as workers:
        assert list(workers.run(worker_jobs.double, range(50), _marked)) == [2 * number for number in range(50)]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("read nothing", "it crashed its process (SIGSEGV)"),
        ("abort", "it crashed its process (SIGABRT)"),
        ("exit", "it ended its process with exit code 3"),
    ],
)
def test_a_job_that_ends_its_process_twice_is_at_fault(how, reason, tmp_path):
    ended, said = outcome(worker_jobs.end_process, (tmp_path, how))
    assert ended == "ended"
    assert said.startswith(reason)
    assert len(set(worker_jobs.pids(tmp_path))) == 2


def test_a_crash_that_does_not_come_back_is_no_fault(tmp_path):
    assert outcome(worker_jobs.end_process, (tmp_path, "fault once")) == "done"
    assert len(set(worker_jobs.pids(tmp_path))) == 2


def test_the_limit_on_processor_time_is_met_once(tmp_path):
    assert outcome(worker_jobs.end_process, (tmp_path, "use the processor")) == (
        "ended", "it ran for longer than sandbox.seconds, 1 s of processor time",
    )  # fmt: skip
    assert len(worker_jobs.pids(tmp_path)) == 1


def test_a_job_that_uses_no_processor_time_is_ended(tmp_path):
    assert outcome(worker_jobs.end_process, (tmp_path, "sleep"), idle_seconds=2) == (
        "ended", "it used no processor time for 2 s, and was ended",
    )  # fmt: skip
    assert len(set(worker_jobs.pids(tmp_path))) == 2


def test_a_process_that_is_paused_is_waited_for(tmp_path):
    noted, file = tmp_path / "noted", tmp_path / "file"
    noted.mkdir()

    def pause():
        (pid,) = until(lambda: worker_jobs.pids(noted))
        os.kill(pid, signal.SIGSTOP)
        time.sleep(4)
        file.touch()
        os.kill(pid, signal.SIGCONT)

    thread = threading.Thread(target=pause)
    thread.start()
    assert outcome(worker_jobs.wait_for_file, (noted, file), idle_seconds=2) == "done"
    thread.join()
    assert len(worker_jobs.pids(noted)) == 1


FROM_OUTSIDE = [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGXCPU]


@pytest.mark.parametrize("number", FROM_OUTSIDE)
def test_a_job_whose_process_is_killed_is_done_again(number, tmp_path):
    assert outcome(worker_jobs.signal_itself, (tmp_path, number, 2)) == "done"
    assert len(set(worker_jobs.pids(tmp_path))) == 3


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGINT])
def test_the_signal_of_a_fault_that_somebody_sends_is_none(number, tmp_path):
    assert outcome(worker_jobs.signal_itself, (tmp_path, number, 1)) == "done"
    assert len(worker_jobs.pids(tmp_path)) == 1


@pytest.mark.parametrize("number", FROM_OUTSIDE)
def test_killing_again_and_again_stops_the_run(number, tmp_path):
    with pytest.raises(UserError, match=rf"killed 3 times \({number.name}\).* sandbox.memory_bytes, now 268435456"):
        outcome(worker_jobs.signal_itself, (tmp_path, number, 99))
    assert len(worker_jobs.pids(tmp_path)) == 3


def test_a_fork_server_that_is_killed_costs_nothing(tmp_path):
    """Its workers go on, and others come from another one."""
    noted, file = tmp_path / "noted", tmp_path / "file"
    noted.mkdir()

    def kill():
        (pid,) = until(lambda: worker_jobs.pids(noted))
        fork_server.SERVER._process.kill()
        fork_server.SERVER._process.wait()
        assert is_alive(pid)
        file.touch()

    thread = threading.Thread(target=kill)
    thread.start()
    with pool(reused=False) as workers:
        jobs = [(worker_jobs.wait_for_file, (noted, file)), (worker_jobs.double, 4)]
        assert list(workers.run(worker_jobs.call, jobs, _marked)) == ["done", 8]
    thread.join()
    assert len(worker_jobs.pids(noted)) == 1


def test_what_earlier_jobs_left_does_not_count(tmp_path):
    half, most = LIMITS.memory_bytes // 2, LIMITS.memory_bytes // 4 * 3
    jobs = [(tmp_path, 0, half), (tmp_path, most, 0), (tmp_path, 2 * LIMITS.memory_bytes, 0), (tmp_path, most, 0)]
    with pool() as workers:
        first, second, third, fourth = workers.run(worker_jobs.use_memory, jobs, _marked)
    assert (first, second, fourth) == ("done", "done", "done")
    assert third == ("ended", f"it needs more memory than sandbox.memory_bytes, {LIMITS.memory_bytes}")
    first, failed, second, third, again, _ = worker_jobs.pids(tmp_path)
    assert first == failed != second == third != again


@pytest.mark.parametrize(("how", "said"), [("plain", "not there"), ("unpicklable", "Unpicklable")])
def test_an_error_is_raised_here_and_says_where_it_was(how, said):
    with pool() as workers, pytest.raises((KeyError, RuntimeError), match=said) as caught:
        list(workers.run(worker_jobs.fail, [how], _marked))
    assert "worker_jobs.py" in "".join([str(caught.value), *getattr(caught.value, "__notes__", [])])


def test_leaving_ends_the_workers_at_once(tmp_path):
    jobs = [(worker_jobs.double, 2), *[(worker_jobs.wait_for_ever, tmp_path)] * 2]
    with pool(workers=3) as workers:
        assert next(workers.run(worker_jobs.call, jobs, _marked)) == 4
        processes = until(lambda: len(worker_jobs.pids(tmp_path)) == 2 and worker_jobs.pids(tmp_path))
        assert all(is_alive(pid) for pid in processes)
    assert not any(is_alive(pid) for pid in processes)


SCRIPT = """
import os, sys
from pathlib import Path
import worker_jobs
from mlir_datagen.proving.pool import Pool
from mlir_datagen.proving.settings import SandboxLimits
if sys.argv[2] == "fork" and os.fork():
    os.wait()
    sys.exit()
with Pool(2, SandboxLimits(60, 1 << 30), None, 60) as pool:
    jobs = [(worker_jobs.wait_for_ever, Path(sys.argv[1]))] * 2 if sys.argv[2] == "wait" else [(worker_jobs.double, 2)]
    print(*pool.run(worker_jobs.call, jobs, None))
"""


def start_script(folder, what, processes):
    path = os.pathsep.join(sys.path)
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), what], env={**processes.environment, "PYTHONPATH": path},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("before", [signal.SIGCONT, signal.SIGSTOP, signal.SIGKILL])
def test_nothing_outlives_a_process_that_is_killed(before, tmp_path):
    """Though its workers are in compiled code that no thread interrupts, and the fork server was paused or killed."""
    processes = Processes()
    script = start_script(tmp_path, "wait", processes)
    until(lambda: len(list(tmp_path.iterdir())) == 2)
    assert len(processes.workers()) == 2
    (fork_server_id,) = processes.fork_servers()
    os.kill(fork_server_id, before)
    script.kill()
    script.wait()
    have_ended = processes.end_within(2)
    processes.kill()
    script.communicate()
    assert have_ended


def test_a_process_that_was_forked_has_workers_of_its_own(tmp_path):
    processes = Processes()
    script = start_script(tmp_path, "fork", processes)
    assert script.communicate(timeout=60) == ("4\n", "")
    assert processes.end_within(2)
