"""The benchmark's data: tokens, instances and request targets. The same in every run."""

import hashlib
import random
from dataclasses import dataclass
from pathlib import Path

TARGETS_MAX = 1024
SCOPES = ("rw", "rw", "rw", "*", "*", "rw", "rw", "rw", "r", "w")


@dataclass(frozen=True)
class Client:
    token: str
    name: str
    scopes: str  # r, w, rw, or * for all
    instances: list  # names, or ["*"]


@dataclass(frozen=True)
class Instance:
    name: str
    port: int
    key: str


@dataclass(frozen=True)
class Data:
    folder: Path
    clients: list
    instances: list
    targets: Path  # lines "token instance", all of which must succeed
    unknown_tokens: Path  # the same with tokens that no client has
    narrow: Path  # as many tokens as in targets, but only one instance


def make(folder, client_count, instance_count, ports):
    """Makes clients with one token each: half of them may use every instance, the others ten."""
    chance = random.Random(7)
    folder.mkdir(parents=True)
    instances = [
        Instance(f"inst-{i:05d}", ports[i % len(ports)], f"key-{digest(f'key {i}')[:40]}") for i in range(instance_count)
    ]
    names = [instance.name for instance in instances]
    clients = [
        Client(
            f"blnkgw_{digest(f'token {i}')[:43]}",
            f"client{i:06d}",
            SCOPES[i % 10],
            ["*"] if i // 10 % 2 == 0 else sorted(chance.sample(names, min(10, len(names)))),
        )
        for i in range(client_count)
    ]
    writers = [client for client in clients if client.scopes in ("rw", "*")]
    targets = []
    for _ in range(TARGETS_MAX):
        client = chance.choice(writers)
        targets.append((client.token, chance.choice(names if client.instances == ["*"] else client.instances)))
    free = [client for client in writers if client.instances == ["*"]]
    narrow = [(chance.choice(free).token, names[0]) for _ in range(TARGETS_MAX)]
    data = Data(folder, clients, instances, *(folder / f"{name}.txt" for name in ("targets", "unknown-tokens", "narrow")))
    write_lines(data.targets, targets)
    write_lines(data.unknown_tokens, ((f"{token[:-4]}XXXX", instance) for token, instance in targets))
    write_lines(data.narrow, narrow)
    # What policies.py reads.
    write_lines(folder / "tokens.txt", ((c.token, c.name, c.scopes, ",".join(c.instances)) for c in clients))
    write_lines(folder / "instances.txt", ((i.name, str(i.port), i.key) for i in instances))
    return data


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def write_lines(path, rows):
    path.write_text("".join(" ".join(row) + "\n" for row in rows))
