"""The CPU time of tokens that are refused."""

import os
import secrets
import socket
import string

import signed
from stage import KEY_NAME, require

COUNT = 10_000
ROUNDS = 5
BATCH = 50
RATIO_MAX = 1.5


def forged_costs_no_more(stage):
    """10,000 forged tokens cost at most 1.5 times the CPU of 10,000 unknown tokens of policy files"""
    token = signed.signed(
        signed.ACCESS, key=stage.key, key_name=KEY_NAME, issuer=stage.issuer, client=stage.client,
        scope="proxy:read proxy:write", lifetime=3_600)  # fmt: skip
    alphabet = string.ascii_letters + string.digits
    kinds = {
        "forged": lambda: signed.forged(token),
        "unknown": lambda: "blnk_at_" + "".join(secrets.choice(alphabet) for _ in range(49)),
    }
    with socket.create_connection(("127.0.0.1", stage.port), timeout=30) as connection:
        statuses = ask(connection, [token, kinds["forged"](), kinds["unknown"]()])
        require(statuses == [200, 401, 401], f"the statuses of a right, a forged and an unknown token are {statuses}")
        ticks = dict.fromkeys(kinds, 0)
        # In turns, so that both meet the same noise.
        for _ in range(ROUNDS):
            for kind, make in kinds.items():
                requests = [make() for _ in range(COUNT)]
                before = cpu_ticks(stage.process.pid)
                for start in range(0, COUNT, BATCH):
                    statuses = ask(connection, requests[start : start + BATCH])
                    require(set(statuses) == {401}, f"{kind}: {set(statuses)}")
                ticks[kind] += cpu_ticks(stage.process.pid) - before
    micro = {kind: count / os.sysconf("SC_CLK_TCK") / ROUNDS / COUNT * 1e6 for kind, count in ticks.items()}
    ratio = micro["forged"] / micro["unknown"]
    print(f"  forged {micro['forged']:.1f} µs, unknown {micro['unknown']:.1f} µs per request: ratio {ratio:.2f}")
    require(ratio <= RATIO_MAX, f"the ratio is {ratio:.2f}")


def ask(connection, tokens):
    """Sends a request with each token, pipelined; returns the statuses."""
    head = "GET /proxy/balances?instance_id=one HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer "
    connection.sendall("".join(f"{head}{token}\r\n\r\n" for token in tokens).encode())
    statuses, data = [], b""
    while len(statuses) < len(tokens):
        part = connection.recv(262_144)
        require(part, f"the connection ends after {len(statuses)} responses")
        data += part
        while (end := data.find(b"\r\n\r\n")) >= 0:
            fields = data[:end].lower()
            length = int(fields.split(b"content-length:")[1].split(b"\r\n")[0])
            if len(data) < end + 4 + length:
                break
            statuses.append(int(fields.split(b" ")[1]))
            data = data[end + 4 + length :]
    return statuses


def cpu_ticks(process):
    """User and system time."""
    with open(f"/proc/{process}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
