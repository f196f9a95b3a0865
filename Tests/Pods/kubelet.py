"""What a kubelet does: makes volumes of ConfigMaps and Secrets, keeps them up to date, and runs pods."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from faults import Fault, expect


def sources(volume):
    """The ConfigMaps and Secrets of a volume: name, kind, items, and whether it is optional."""
    if "projected" in volume:
        parts = [(kind, each[kind]) for each in volume["projected"]["sources"] for kind in each]
    else:
        parts = [(kind, volume[kind]) for kind in ("configMap", "secret") if kind in volume]
    kinds = {"configMap": "ConfigMap", "secret": "Secret"}
    return [
        (part.get("name") or part["secretName"], kinds[kind], part.get("items", []), part.get("optional", False))
        for kind, part in parts
    ]


def files_of(volume, objects):
    """The files of a volume, by path: bytes and mode. Without one of its sources, a volume is not made or updated."""
    mode = next(volume[kind] for kind in ("projected", "configMap", "secret") if kind in volume)["defaultMode"]
    files = {}
    for name, kind, items, _ in sources(volume):
        content = objects.content(kind, name)
        if content is None:
            raise Fault(f"volume {volume['name']}: there is no {kind} {name}")
        items = items or [{"key": key, "path": key} for key in content]
        for item in items:
            if item["key"] not in content:
                raise Fault(f"volume {volume['name']}: {kind} {name} has no key {item['key']}")
            files[item["path"]] = (content[item["key"]], mode)
    return files


class Volume:
    """Files behind a link `..data` to a folder with a time in its name, which one rename replaces.

    The order of steps is that of Kubernetes (pkg/volume/util/atomic_writer.go).
    """

    def __init__(self, folder, group):
        self.folder, self.group = folder, group
        folder.mkdir(parents=True)
        self.own(folder, 0o2777)

    def own(self, path, mode):
        os.chown(path, 0, self.group)
        path.chmod(mode)

    def write(self, files):
        """Returns whether the content changed."""
        data = self.folder / "..data"
        old = self.folder / os.readlink(data) if data.is_symlink() else None
        if old and self.content(old) == {path: content for path, (content, _) in files.items()}:
            return False
        new = Path(tempfile.mkdtemp(prefix=time.strftime("..%Y_%m_%d_%H_%M_%S."), dir=self.folder))
        self.own(new, 0o2755)
        for path, (content, mode) in files.items():
            (new / path).parent.mkdir(parents=True, exist_ok=True)
            (new / path).write_bytes(content)
            self.own(new / path, mode)
        visible = {path.split("/")[0] for path in files}
        for name in visible:
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")
        (self.folder / "..data_tmp").symlink_to(new.name)
        (self.folder / "..data_tmp").rename(data)
        for link in self.folder.iterdir():
            if not link.name.startswith("..") and link.name not in visible:
                link.unlink()
        if old:
            shutil.rmtree(old)
        return True

    @staticmethod
    def content(folder):
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Pod:
    """One pod of the objects' workload, in namespaces as a container runtime makes them: a read-only root with
    little more than the program, the user and no capabilities, the program as process 1."""

    def __init__(self, objects, folder, binary, hosts, claims=None):
        self.objects, self.folder, self.binary, self.hosts = objects, folder, binary, hosts
        self.claims = claims or {}
        group = objects.pod["securityContext"]["fsGroup"]
        self.volumes = {}
        for volume in objects.pod["volumes"]:
            self.volumes[volume["name"]] = (volume, Volume(folder / "volumes" / volume["name"], group))
        self.sync()
        for path in self.claims.values():
            path.mkdir(exist_ok=True)
            os.chown(path, 0, group)
            path.chmod(0o2775)
        (folder / "hosts").write_text("127.0.0.1 localhost\n" + "".join(f"127.0.0.1 {host}\n" for host in hosts))
        (folder / "nsswitch.conf").write_text("hosts: files\n")
        self.output = folder / "output"

    def sync(self):
        """Brings the volumes up to date; returns the names of those that changed."""
        return [name for name, (volume, folder) in self.volumes.items() if folder.write(files_of(volume, self.objects))]

    def command(self, arguments, info=None):
        user = self.objects.pod["securityContext"]
        command = ["bwrap", "--unshare-pid", "--as-pid-1", "--unshare-ipc", "--unshare-uts", "--die-with-parent"]
        command += ["--clearenv"]
        command += ["--info-fd", str(info)] if info else []
        # Parent folders that are not named would be root's alone.
        for name in ("/usr", "/usr/bin", "/etc", "/etc/blnk-gateway", "/var", "/var/lib"):
            command += ["--perms", "0755", "--dir", name]
        for name in ("/usr/lib", "/usr/lib64", "/usr/bin/setpriv", "/etc/ssl"):
            command += ["--ro-bind", name, name]
        command += ["--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"]
        command += ["--proc", "/proc", "--dev", "/dev"]
        command += ["--ro-bind", self.binary, "/usr/bin/blnk-gateway"]
        for name in ("hosts", "nsswitch.conf"):
            command += ["--ro-bind", self.folder / name, f"/etc/{name}"]
        for mount in self.objects.container["volumeMounts"]:
            if mount["name"] in self.claims:
                command += ["--bind", self.claims[mount["name"]], mount["mountPath"]]
            else:
                command += ["--ro-bind", self.volumes[mount["name"]][1].folder, mount["mountPath"]]
        for variable in self.objects.container["env"]:
            command += ["--setenv", variable["name"], variable["value"]]
        for name in ("SETUID", "SETGID", "SETPCAP"):
            command += ["--cap-add", f"CAP_{name}"]
        command += ["--remount-ro", "/", "--chdir", "/", "--", "/usr/bin/setpriv"]
        command += [f"--reuid={user['runAsUser']}", f"--regid={user['runAsGroup']}", f"--groups={user['fsGroup']}"]
        command += ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "/usr/bin/blnk-gateway", *arguments]
        return command

    def run(self, *arguments):
        """Runs another command of the program in the pod (kubectl exec); returns exit code and output."""
        result = subprocess.run(self.command(arguments), capture_output=True, text=True, timeout=30)
        return result.returncode, result.stdout + result.stderr

    def start(self):
        reading, writing = os.pipe()
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                self.command(self.objects.container["args"], info=writing), stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, pass_fds=[writing])
        os.close(writing)
        with os.fdopen(reading) as info:
            text = info.read()
        expect(text, f"the pod did not start: {self.log()}")
        self.pid = json.loads(text)["child-pid"]

    def log(self):
        """What the gateway printed, without the access log."""
        lines = self.output.read_text(errors="replace").splitlines()
        return "\n".join(line for line in lines if not line.startswith("{"))[-2000:]

    def terminate(self):
        os.kill(self.pid, signal.SIGTERM)

    def wait(self, seconds):
        try:
            return self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Fault(f"the pod still runs after {seconds:.0f} s") from None

    def kill(self):
        if getattr(self, "process", None) and self.process.poll() is None:
            # The program itself: it changed its user, so it does not die with its parent.
            os.kill(self.pid, signal.SIGKILL)
            self.process.wait(timeout=10)
