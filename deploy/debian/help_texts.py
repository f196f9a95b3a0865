"""Reads the help texts of every command of blnk-gateway, for man-pages and completions."""

import re
import subprocess
from dataclasses import dataclass, field


@dataclass
class Option:
    name: str
    # Placeholder, such as DIR, or the values as "0.15|documented"; empty for an option without a value.
    value: str
    help: str


@dataclass
class Command:
    # As typed, such as "token new"; empty for the program itself.
    name: str
    summary: str
    usage: str
    paragraphs: list
    options: list = field(default_factory=list)
    exit_codes: list = field(default_factory=list)
    example: list = field(default_factory=list)

    @property
    def page(self):
        return "-".join(["blnk-gateway", *self.name.split()])

    @property
    def takes_files(self):
        return any(operands in self.usage for operands in ("FILE...", "PATH...", "OLD NEW"))


def rows(block):
    """(left, right) of the lines of a block with two columns."""
    found = []
    for line in block:
        match = re.fullmatch(r"  (\S.*?)  +(\S.*)", line)
        if not match:
            raise ValueError(f"not a row of two columns: {line!r}")
        found.append(match.groups())
    return found


def parsed(name, text):
    """A help text as a command; raises ValueError if it has another form."""
    lines = text.rstrip("\n").split("\n")
    title = f"blnk-gateway {name}".strip()
    if not lines[0].startswith(f"{title}: "):
        raise ValueError(f'the help text of "{title}" starts with {lines[0]!r}, not with "{title}: "')
    # Parts are separated by empty lines. An example may contain one.
    parts, in_example = [], False
    for line in lines[1:]:
        if line == "" and not in_example:
            parts.append([])
        elif parts:
            parts[-1].append(line)
            in_example = in_example or line == "Example:"
    parts = [part for part in parts if part]
    if not parts or not parts[0][0].startswith("Usage: "):
        raise ValueError(f'the help text of "{title}" has no line "Usage: "')
    command = Command(name, lines[0][len(title) + 2:], " ".join(parts[0]).removeprefix("Usage: "), [])
    for part in parts[1:]:
        if part[0] == "Options:":
            for left, right in rows(part[1:]):
                option, _, value = left.partition(" ")
                command.options.append(Option(option, value, right))
        elif part[0] == "Exit codes:":
            command.exit_codes = rows(part[1:])
        elif part[0] == "Example:":
            command.example = [line.removeprefix("  ") for line in part[1:]]
        elif part[0] != "Commands:":
            command.paragraphs.append(part)
    return command


def read(program):
    """The program itself, and its commands in the order of its help text."""

    def help_of(*words):
        return subprocess.run(
            [program, *words, "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True,
            timeout=30).stdout

    text = help_of()
    top = parsed("", text)
    listed = re.search(r"^Commands:\n((?:  .*\n)+)", text, re.MULTILINE)
    if not listed:
        raise ValueError(f'the help text of {program} has no part "Commands:"')
    names = [left for left, _ in rows(listed.group(1).rstrip("\n").split("\n"))]
    return top, [parsed(name, help_of(*name.split())) for name in names]
