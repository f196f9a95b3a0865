"""Runs the image as a container runtime does: as process 1 of new namespaces, with a read-only root and no privileges."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

from faults import Fault, require, until

# What Docker mounts, besides the volumes and secrets.
FILES = ("etc/hosts", "etc/resolv.conf")
FOLDERS = ("dev", "proc")


def can_use_bubblewrap():
    probe = ["setpriv", "--reuid", "65532", "--regid", "65532", "--clear-groups", "bwrap", "--unshare-all", "--share-net",
             "--as-pid-1", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "true"]  # fmt: skip
    return subprocess.run(probe, capture_output=True, timeout=30).returncode == 0


class Image:
    """The assembled root file system with the mount points that a runtime adds, and what the Dockerfile says."""

    def __init__(self, root, copy, dockerfile, secrets):
        shutil.copytree(root, copy, symlinks=True)
        # copytree does not keep owners.
        for volume in dockerfile.volumes:
            entry = (root / volume[1:]).stat()
            os.chown(copy / volume[1:], entry.st_uid, entry.st_gid)
        for name in FOLDERS:
            (copy / name).mkdir(exist_ok=True)
        (copy / "run/secrets").mkdir(parents=True)
        for name in (*FILES, *(f"run/secrets/{name}" for name in secrets)):
            (copy / name).touch()
        self.root, self.dockerfile = copy, dockerfile


class Container:
    """One run. `mounts` are pairs of a path and a place, all read-only except those in `writable`."""

    count = 0

    def __init__(self, image, folder, mounts, writable, stack, command=None, user=None, has_proc=True,
                 bubblewrap=True):  # fmt: skip
        Container.count += 1
        self.image, self.mounts, self.writable, self.has_proc = image, mounts, writable, has_proc
        self.user = user or image.dockerfile.user
        self.group = user or image.dockerfile.group
        self.output, self.errors = (folder / f"{Container.count}.{name}" for name in ("stdout", "stderr"))
        arguments = command or image.dockerfile.command
        start = self.bubblewrap(arguments) if bubblewrap else self.unshare(arguments)
        with self.output.open("w") as output, self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                start, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=self.environment, start_new_session=True)
        stack.callback(self.kill)

    @property
    def environment(self):
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return {"PATH": path, "HOME": "/", "HOSTNAME": "container"} | self.image.dockerfile.environment

    def bubblewrap(self, command):
        start = ["setpriv", "--reuid", self.user, "--regid", self.group, "--clear-groups", "bwrap", "--unshare-all",
                 "--share-net", "--as-pid-1", "--die-with-parent", "--ro-bind", self.image.root, "/", "--dev", "/dev"]  # fmt: skip
        start += ["--proc", "/proc"] if self.has_proc else []
        for source, place in self.mounts:
            start += ["--ro-bind", source, place]
        for source, place in self.writable:
            start += ["--bind", source, place]
        return [*start, "--", *command]

    def unshare(self, command):
        """Without bubblewrap: the same mounts with mount(8), and chroot in place of pivot_root."""
        root = self.image.root
        steps = [f"mount --make-rprivate / && mount --bind {root} {root} && mount -o remount,bind,ro {root}",
                 f"mount -t tmpfs -o mode=755 dev {root}/dev",
                 f"for device in 'null c 1 3' 'zero c 1 5' 'urandom c 1 9'; do mknod -m 666 {root}/dev/$device; done"]
        for source, place in self.mounts:
            steps.append(f"mount --bind {source} {root}{place} && mount -o remount,bind,ro {root}{place}")
        steps += [f"mount --bind {source} {root}{place}" for source, place in self.writable]
        steps += [f"mount -t proc -o nosuid,nodev,noexec proc {root}/proc"] if self.has_proc else []
        steps.append(f'exec setpriv --no-new-privs chroot --groups= --userspec={self.user}:{self.group} {root} "$@"')
        return ["unshare", "--mount", "--ipc", "--uts", "--pid", "--fork", "--kill-child", "sh", "-euc", "\n".join(steps),
                "sh", *command]  # fmt: skip

    @property
    def main(self):
        """The process that is number 1 in the container, once it is the gateway."""

        def search():
            waiting = [self.process.pid]
            while waiting:
                number = waiting.pop()
                if number_inside(number) == 1 and os.readlink(f"/proc/{number}/exe").endswith("/usr/bin/blnk-gateway"):
                    return number
                waiting += children(number)
            if self.process.poll() is not None:
                raise Fault(f"the container ended with {self.process.returncode}: {self.said}")
            return None

        return until(search, 20, lambda: f"the gateway is not process 1: {self.said}")

    @property
    def said(self):
        return self.errors.read_text()

    def wait_until_said(self, text, seconds=20, times=1):
        until(lambda: self.said.count(text) >= times or self.process.poll() is not None, seconds,
              lambda: f"not said: {text!r}; instead: {self.said}")
        require(self.said.count(text) >= times, f"ended with {self.process.returncode} before {text!r}: {self.said}")

    def send(self, number):
        os.kill(self.main, number)

    def wait(self, seconds):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise Fault(f"still runs after {seconds} s: {self.said}") from error

    def execute(self, command, seconds=20):
        """Runs a command in the container, as "docker exec" does."""
        enter = ["nsenter", "--target", str(self.main), "--mount", "--pid", "--ipc", "--uts", "--root", "--setuid", self.user,
                 "--setgid", self.group, *command]  # fmt: skip
        return subprocess.run(enter, capture_output=True, text=True, timeout=seconds, env=self.environment, check=False)

    def kill(self):
        if self.process.poll() is None:
            with contextlib.suppress(Fault, OSError):
                self.send(signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(5)
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()


def status(number):
    """The fields of /proc/NUMBER/status; none if the process has ended."""
    try:
        lines = Path(f"/proc/{number}/status").read_text().splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def number_inside(number):
    """A process's number in its own namespace."""
    return int(status(number).get("NSpid", "0").split()[-1])


def children(parent):
    """The numbers of its children."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and status(name).get("PPid") == str(parent)]


def adopt_orphan(container, seconds):
    """Starts a process in the container whose parent ends before it does. Returns the number of the orphan."""
    before = set(children(container.main))
    fork = f"""
import os, time
if os.fork() == 0:
    if os.fork() == 0:
        time.sleep({seconds})
    os._exit(0)
os.wait()"""
    enter = ["nsenter", "--target", str(container.main), "--pid", "python3", "-c", fork]
    subprocess.run(enter, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=20, check=True)
    adopted = set(children(container.main)) - before
    require(len(adopted) == 1, f"the gateway did not become the orphan's parent: {adopted}")
    return adopted.pop()


def writable_places(container, places):
    """Where the gateway's user can create a file or open one for writing, of all files and folders in its root."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.write(write_end, json.dumps(found_writable(container)).encode())
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as result:
        text = result.read()
    os.waitpid(child, 0)
    require(text, "the search for writable places failed")
    return {place for place in json.loads(text) if not place.startswith(places)}


def found_writable(container):
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    space = os.open(f"/proc/{container.main}/ns/mnt", os.O_RDONLY)
    root = os.open(f"/proc/{container.main}/root", os.O_RDONLY)
    if library.unshare(0x00000200) != 0 or library.setns(space, 0x00020000) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.fchdir(root)
    os.chroot(".")
    os.setgroups([])
    os.setgid(int(container.group))
    os.setuid(int(container.user))
    found = []
    for folder, _, files in os.walk("/"):
        if folder.startswith("/proc"):
            continue
        for place, flags in [(f"{folder}/.test", os.O_CREAT | os.O_WRONLY), *((f"{folder}/{name}", os.O_WRONLY) for name in files)]:
            with contextlib.suppress(OSError):
                os.close(os.open(place, flags | os.O_NONBLOCK))
                found.append(place.replace("//", "/"))
                if flags & os.O_CREAT:
                    os.unlink(place)
    return found
