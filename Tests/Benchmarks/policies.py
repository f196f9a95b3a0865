#!/usr/bin/env python3
"""Turns a benchmark's data folder into a policy folder of the gateway.

The data folder holds tokens.txt (token, client, scopes r|w|rw|*, instances or *) and instances.txt (instance, port, key).
Writes gateway.json, instances.json, clients.json, routes.json and a key file for each instance. Each client has limits,
so that the gateway counts its requests, but a benchmark never reaches them.
"""

import argparse
import hashlib
import json
import os
import re
import sys
from pathlib import Path

SCOPES = {"r": ["proxy:read"], "w": ["proxy:write"], "rw": ["proxy:read", "proxy:write"], "*": ["*"]}

READ, WRITE = "proxy:read", "proxy:write"
ROUTES = {
    "/proxy/balances": {
        "GET": {"scope": READ, "operation": "balances.list"},
        "POST": {"scope": WRITE, "operation": "balances.create"},
    },
    "/proxy/balances/:id": {
        "GET": {"scope": READ, "operation": "balances.get"},
        "POST": {"scope": WRITE, "operation": "balances.post"},
        "PUT": {"scope": WRITE, "operation": "balances.put"},
        "DELETE": {"scope": WRITE, "operation": "balances.delete"},
    },
}


LIMITS = {"requests_per_second": 1000000, "burst": 1000000, "concurrent": 1000000}


class Malformed(Exception):
    """The data folder is malformed."""


def rows(path, columns):
    """The lines of a data file, each split into its columns."""
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise Malformed(f"cannot read {path}: {error.strerror}")
    for number, line in enumerate(lines, 1):
        row = line.split()
        if len(row) != columns:
            raise Malformed(f"{path}:{number}: {len(row)} columns instead of {columns}")
        yield row


def write_private(path, text):
    """Writes a file that only its owner may read, even if it existed with other permissions."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n")


def instances(data, out, tls):
    keys = out / "keys"
    keys.mkdir(mode=0o700, exist_ok=True)
    result = {}
    for name, port, key in rows(data / "instances.txt", 3):
        # The name becomes a file name.
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
            raise Malformed(f"{data / 'instances.txt'}: {name!r} cannot be an instance id")
        write_private(keys / name, key + "\n")
        result[name] = {"url": f"http://127.0.0.1:{port}", "key": {"file": f"keys/{name}"}}
        if tls:
            result[name]["url"] = f"https://127.0.0.1:{tls.ports[int(port)]}"
            result[name]["tls"] = {"ca_file": str(tls.authority), "server_name": "localhost"}
    return result


def clients(data, known, has_oauth):
    result = {}
    for token, name, scopes, allowed in rows(data / "tokens.txt", 4):
        if scopes not in SCOPES:
            raise Malformed(f"{data / 'tokens.txt'}: {name}: unknown scopes {scopes!r}")
        ids = allowed.split(",")
        for unknown in set(ids) - set(known) - {"*"}:
            raise Malformed(f"{data / 'tokens.txt'}: {name}: unknown instance {unknown!r}")
        digest = hashlib.sha256(token.encode()).hexdigest()
        client = result.setdefault(
            name, {"name": name, "scopes": SCOPES[scopes], "instances": ids, "tokens": [], "limits": LIMITS}
        )
        client["tokens"].append({"sha256": digest})
        if has_oauth:
            # The benchmarks sign tokens themselves and need no secret.
            client["oauth"] = {"secrets": [{"sha256": digest}]}
    return result


def write(out, data, settings, tls=None):
    """Writes the folder `out`; `settings` become gateway.json, with `tls` (see tls.py) the instances' URLs are HTTPS."""
    out.mkdir(parents=True, exist_ok=True)
    directory = instances(data, out, tls)
    holders = clients(data, directory, "oauth" in settings)
    write_json(out / "gateway.json", settings)
    write_json(out / "instances.json", {"instances": directory})
    write_json(out / "clients.json", {"clients": holders})
    write_json(out / "routes.json", {"routes": ROUTES})
    return f"{out}: {len(directory)} instances, {len(holders)} clients"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with tokens.txt and instances.txt")
    parser.add_argument("out", type=Path, help="policy folder to write")
    parser.add_argument("--listen", default="127.0.0.1:8080", help="listener (default %(default)s)")
    parser.add_argument("--admin", default=None, help="admin endpoint (default: none)")
    parser.add_argument("--access-log", default="-", help="path, - for standard output, off (default %(default)s)")
    parser.add_argument("--loops", type=int, default=0, help="event loops; 0 is one per core (default %(default)s)")
    options = parser.parse_args()
    log = None if options.access_log == "off" else options.access_log
    settings = {"listen": options.listen, "admin": options.admin, "loops": options.loops, "access_log": log, "watch": False}
    try:
        print(write(options.out, options.data, settings))
    except Malformed as error:
        sys.exit(f"policies.py: {error}")


if __name__ == "__main__":
    main()
