"""What the Dockerfile says, and what is in the root file system that its script assembles."""

import json
import os
import re
import shlex
import stat
import subprocess

from faults import require

COMMENT = "# Not built in CI: no Docker engine is available there."


class Dockerfile:
    """The instructions of its last stage."""

    def __init__(self, path):
        text = path.read_text()
        require(COMMENT in text.splitlines(), f"{path}: lacks the line {COMMENT!r}")
        lines = re.sub(r"\\\n\s*", "", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
        self.instructions = [tuple(line.split(None, 1)) for line in lines.splitlines() if line]
        last = max(index for index, (name, _) in enumerate(self.instructions) if name == "FROM")
        require(self.instructions[last][1] == "scratch", f"{path}: the last stage is not FROM scratch")
        self.last_stage = self.instructions[last:]
        self.command = self.array("ENTRYPOINT") + self.array("CMD")
        self.health = json.loads(re.search(r"CMD (\[.*\])", self.value("HEALTHCHECK"))[1])
        self.user, _, self.group = self.value("USER").partition(":")
        self.volumes = self.array("VOLUME")
        self.environment = dict(word.split("=", 1) for word in shlex.split(self.value("ENV")))
        self.stop_signal = self.value("STOPSIGNAL")

    def value(self, name):
        values = [value for one, value in self.last_stage if one == name]
        require(len(values) == 1, f"Dockerfile: {len(values)} {name} in the last stage")
        return values[0]

    def array(self, name):
        return json.loads(self.value(name))


def check_dockerfile(dockerfile, script):
    """the Dockerfile assembles the image with the tested script, and runs as a numeric user that is not root"""
    runs = [value for name, value in dockerfile.instructions if name == "RUN"]
    require("deploy/docker/root-filesystem --binary blnk-gateway /image" in runs, f"no RUN has the script: {runs}")
    require("deploy/build" in runs, f"no RUN has deploy/build: {runs}")
    copies = [value for name, value in dockerfile.last_stage if name == "COPY"]
    require(copies[0] == "--from=assemble /image/ /", f"the image is not /image: {copies}")
    for copy in copies[1:]:
        require(re.fullmatch(r"--from=assemble --chown=65532:65532 /image(/\S+) \1", copy), f"another COPY: {copy}")
    require((dockerfile.user, dockerfile.group) == ("65532", "65532"), f"USER is {dockerfile.user}:{dockerfile.group}")
    require(dockerfile.stop_signal == "SIGTERM", "STOPSIGNAL is not SIGTERM")
    require(dockerfile.volumes == ["/etc/blnk-gateway/policies", "/var/lib/blnk-gateway"], f"{dockerfile.volumes}")
    require(f"user={dockerfile.user}\n" in script.read_text(), f"{script}: another user")


def assemble(script, binary, root):
    done = subprocess.run([script, "--binary", binary, root], capture_output=True, text=True, timeout=120)
    require(done.returncode == 0, f"root-filesystem: exit code {done.returncode}: {done.stderr}")


def check_refusals(script, binary, folder):
    """root-filesystem refuses a program other than the gateway, and a folder that is not empty"""
    (folder / "full").mkdir()
    (folder / "full/file").touch()
    cases = [("/usr/bin/true", folder / "new", "does not load libcurl"), (binary, folder / "full", "is not empty"),
             (folder / "none", folder / "new", "no such program")]
    for program, target, message in cases:
        done = subprocess.run([script, "--binary", program, target], capture_output=True, text=True, timeout=120)
        require(done.returncode == 1 and message in done.stderr, f"{program} {target}: {done.returncode} {done.stderr}")


def check_files(root, user):
    """the image has the gateway, libraries, certificates and data files only; all but the log folder belong to root"""
    paths = sorted(path for path in root.rglob("*"))
    files = {path.relative_to(root).as_posix() for path in paths if path.is_symlink() or not path.is_dir()}
    packages = {path.name for path in (root / "var/lib/dpkg/status.d").iterdir()}
    expected = {
        "etc/group", "etc/nsswitch.conf", "etc/os-release", "etc/passwd", "etc/ssl/certs/ca-certificates.crt", "lib",
        "usr/bin/blnk-gateway", "usr/lib/os-release",
    } | {f"var/lib/dpkg/status.d/{name}" for name in packages} | {f"usr/share/doc/{name}/copyright" for name in packages}
    if (root / "lib64").is_symlink():
        expected.add("lib64")
    # Named by the hashes of their subjects.
    authorities = {name for name in files if re.fullmatch(r"etc/ssl/certs/[0-9a-f]{8}\.\d", name)}
    require(len(authorities) > 100, f"only {len(authorities)} authorities")
    others = files - expected - authorities
    odd = {name for name in others if not re.fullmatch(r"usr/lib(64|/\w+-linux-gnu)?/(lib[\w+.-]+\.so\.\d+|ld-linux-\S+)", name)}
    require(not odd and expected <= files, f"not expected: {sorted(odd)}; missing: {sorted(expected - files)}")
    require({"ca-certificates", "libc6", "libcurl4", "libssl3"} <= packages, f"packages: {sorted(packages)}")
    for path in paths:
        entry, name = path.lstat(), path.relative_to(root).as_posix()
        if name == "var/lib/blnk-gateway":
            require((entry.st_uid, entry.st_gid, entry.st_mode & 0o7777) == (user, user, 0o750), f"{name}: {entry}")
            continue
        require(entry.st_uid == entry.st_gid == 0, f"{name}: belongs to {entry.st_uid}:{entry.st_gid}")
        if not path.is_symlink():
            require(not entry.st_mode & 0o7022, f"{name}: mode {stat.filemode(entry.st_mode)}")
    return {f"/{name}" for name in others}


def size(root):
    """Bytes of all files."""
    return sum(path.lstat().st_size for path in root.rglob("*") if path.is_file() and not path.is_symlink())


def check_context(top):
    """.dockerignore lets the sources into the build, and no keys, policies, products of builds or history"""
    from docker.utils.build import exclude_paths

    def names(lines):
        return set(exclude_paths(str(top), [line for line in lines if line and not line.startswith("#")]))

    lines = (top / ".dockerignore").read_text().splitlines()
    context = names(lines)
    for name in ("Package.swift", "Sources/blnk-gateway/BlnkGateway.swift", "deploy/docker/root-filesystem", "deploy/lib/setup.sh"):
        require(name in context, f"{name} is not in the context")
    allowed = ("Package.swift", "Sources", "Tests", "deploy", ".dockerignore", "deploy/docker/Dockerfile")
    odd = [name for name in context if name.split("/")[0] not in allowed or name.endswith(".key") or "/secrets/" in name]
    require(not odd, f"in the context: {odd[:5]}")
    # The patterns must keep keys out, wherever they are.
    made = [top / "deploy/docker/secrets/test.key", top / "Tests/ContainerImage/test.key"]
    try:
        for path in made:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            path.touch()
        found = [str(path) for path in made if str(path.relative_to(top)) in names(lines)]
    finally:
        for path in made:
            path.unlink(missing_ok=True)
        try:
            os.rmdir(made[0].parent)
        except OSError:
            pass
    require(not found, f"in the context: {found}")
