"""Starts processes on given cores, reads their memory and connections, and always stops them."""

import contextlib
import os
import socket
import subprocess
import time
from pathlib import Path

START_SECONDS_MAX = 120
END_SECONDS_MAX = 10


class Failure(Exception):
    """Says what went wrong and, where it can, what to do."""


def free_port():
    """A port of this machine that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def on_cores(cores):
    """Runs what the block starts on these cores: a child inherits its parent's."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def running(command, cores, **streams):
    """Starts a command and stops it at the end of the block: with SIGTERM, then with SIGKILL."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL} | streams
    # In its own session, so that Ctrl-C reaches only the benchmark, which then shuts it down cleanly.
    with on_cores(cores):
        process = subprocess.Popen([str(word) for word in command], start_new_session=True, **streams)
    try:
        yield process
    finally:
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        end(process)


def end(process):
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for_port(process, port, errors):
    """Returns when the process accepts connections; `errors` is the file of its standard error."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return
        if process.poll() is not None:
            break
        time.sleep(0.01)
    raise Failure(f"{process.args[0]} does not listen on port {port}:\n{tail(errors)}")


def tail(path):
    return "\n".join(Path(path).read_text(errors="replace").splitlines()[-10:])


def resident_bytes(pid):
    return status_bytes(pid, "VmRSS:")


def peak_resident_bytes(pid):
    """Since the process started or the peak was reset."""
    return status_bytes(pid, "VmHWM:")


def reset_peak_resident_bytes(pid):
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def status_bytes(pid, name):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise Failure(f"process {pid} has ended")


def connections_by_loop(pid, port):
    """The number of accepted connections to `port` in each epoll instance of a process, zeros left out."""
    accepted = accepted_sockets(port)
    descriptors = {}
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            descriptors[link.name] = os.readlink(link)
    counts = []
    for descriptor, target in descriptors.items():
        if target == "anon_inode:[eventpoll]":
            lines = Path(f"/proc/{pid}/fdinfo/{descriptor}").read_text().splitlines()
            members = [line.split()[1] for line in lines if line.startswith("tfd:")]
            counts.append(sum(descriptors.get(member) in accepted for member in members))
    return [count for count in counts if count]


def accepted_sockets(port):
    established = "01"
    result = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        column = line.split()
        if int(column[1].split(":")[1], 16) == port and column[3] == established:
            result.add(f"socket:[{column[9]}]")
    return result
