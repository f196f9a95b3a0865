"""The objects of deploy/kubernetes, and the commands of its README."""

import base64
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import yaml
from faults import Fault, expect

TOP = Path(__file__).resolve().parents[2]
KUBECTL = Path(sys.executable).parent / "kubectl"
# The oldest version that the README names, and the newest that kubernetes-validate knows.
VERSIONS = ("1.29", "1.37")
# Defined by the Prometheus Operator, not by Kubernetes.
CUSTOM_KINDS = {"PodMonitor"}


def run(command, folder, **options):
    # No user's configuration of kubectl, so that nothing reaches a cluster.
    environment = {**os.environ, "KUBECONFIG": "/dev/null", "HOME": "/nonexistent", **options.pop("env", {})}
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, **options)
    expect(result.returncode == 0, f"{' '.join(map(str, command))}: exit code {result.returncode}: {result.stderr}")
    return result.stdout


class Objects(dict):
    """By kind and name."""

    def __init__(self, documents):
        super().__init__(((each["kind"], each["metadata"]["name"]), each) for each in documents if each)

    def of_kind(self, kind):
        return [value for (each, _), value in self.items() if each == kind]

    @property
    def workload(self):
        found = self.of_kind("Deployment") + self.of_kind("StatefulSet")
        expect(len(found) == 1, f"{len(found)} Deployments and StatefulSets; there must be one")
        return found[0]

    @property
    def pod(self):
        return self.workload["spec"]["template"]["spec"]

    @property
    def container(self):
        return self.pod["containers"][0]

    def content(self, kind, name):
        """The files of a ConfigMap or Secret, in bytes; nil: there is no such object."""
        found = self.get((kind, name))
        if found is None:
            return None
        if kind == "Secret":
            return {key: base64.b64decode(value) for key, value in found.get("data", {}).items()}
        return {key: value.encode() for key, value in found.get("data", {}).items()}

    def put(self, kind, name, files):
        """Replaces the content of a ConfigMap or Secret."""
        encode = (lambda data: base64.b64encode(data).decode()) if kind == "Secret" else bytes.decode
        self[kind, name]["data"] = {key: encode(data) for key, data in files.items()}


class Copy:
    """deploy/kubernetes in a temporary folder, to work in as an operator would."""

    def __init__(self, folder, binary):
        self.top = folder
        # The namespace of the pods cannot be entered through the folders that only their owner can enter.
        folder.chmod(0o755)
        self.folder = folder / "deploy/kubernetes"
        shutil.copytree(TOP / "deploy/kubernetes", self.folder)
        programs = folder / "bin"
        programs.mkdir()
        (programs / "blnk-gateway").symlink_to(binary)
        (programs / "kubectl").symlink_to(KUBECTL)
        self.path = f"{programs}:{os.environ['PATH']}"

    def shell(self, command, **options):
        script = "\n".join([*commands("export "), command])
        return run(["bash", "-euo", "pipefail", "-c", script], self.top, env={"PATH": self.path}, **options)

    def render(self, name):
        return run([KUBECTL, "kustomize", self.folder / name], self.top)

    def objects(self, name):
        return Objects(yaml.safe_load_all(self.render(name)))

    def created(self):
        """The Secrets that the README's commands make."""
        documents = []
        for command in commands("kubectl create secret "):
            if "--dry-run=client" in command:
                # A change, which is applied: as far as the pipe.
                self.shell(command.partition(" | ")[0])
            else:
                documents += yaml.safe_load_all(self.shell(f"{command} --dry-run=client --output yaml"))
        return Objects(documents)


def commands(prefix):
    """The commands in the README's examples that begin with this text, in order."""
    text = (TOP / "deploy/kubernetes/README.md").read_text()
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    found = [re.sub(r"\s+#.*", "", line.strip()) for line in lines if line.strip().startswith(prefix)]
    expect(found, f"deploy/kubernetes/README.md has no command that begins with {prefix!r}")
    return [re.sub(r"  +", " ", command) for command in found]


def example(language):
    """The value of the README's one example in a language."""
    text = (TOP / "deploy/kubernetes/README.md").read_text()
    (found,) = re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    return yaml.safe_load(found)


def validate(text):
    """Fails if an object is not valid in one of the versions, or has an unknown field."""
    for document in yaml.safe_load_all(text):
        if document["kind"] in CUSTOM_KINDS:
            continue
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                where = ".".join(map(str, error.path))
                raise Fault(f"{document['kind']} in Kubernetes {version}: {where}: {error.message}") from error
