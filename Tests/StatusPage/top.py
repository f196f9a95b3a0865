"""Checks "blnk-gateway top" in terminals of tmux."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import uuid

import stage
from stage import eventually, require

PROMPT = "before-the-command"


class Screen:
    """A terminal of tmux with a shell in it."""

    def __init__(self, page_stage, columns=160, rows=40, environment=""):
        self.name = f"top-{uuid.uuid4().hex[:8]}"
        self.command = shlex.join(
            [str(page_stage.gateway), "top", "--policies", str(page_stage.policies)])
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows),
                  f"env -u NO_COLOR {environment} PS1='{PROMPT}$ ' bash --norc --noprofile")  # fmt: skip
        page_stage.stack.callback(self.end)
        eventually(lambda: PROMPT in self.text(), "a shell")

    def tmux(self, *command):
        done = subprocess.run(["tmux", "-L", self.name, *command], capture_output=True, text=True, timeout=10)
        return done.stdout

    def text(self, *options):
        return self.tmux("capture-pane", "-p", *options)

    def type(self, text):
        self.tmux("send-keys", "-l", text)

    def press(self, key):
        self.tmux("send-keys", key)

    def start(self):
        self.type(self.command + "; echo ended with $?\n")
        eventually(lambda: "q quits." in self.text(), "the screen of top")

    def process(self):
        shell = self.tmux("list-panes", "-F", "#{pane_pid}").strip()
        return int(subprocess.run(["pgrep", "-P", shell], capture_output=True, text=True, timeout=10).stdout)

    def require_restored(self, code):
        eventually(lambda: f"ended with {code}" in self.text(), f"the end with {code}")
        text = self.text()
        require(PROMPT in text and "q quits." not in text and "Instances" not in text, f"the former screen: {text}")
        require(self.tmux("display", "-p", "#{alternate_on} #{cursor_flag} #{wrap_flag}").split() == ["0", "1", "1"],
                "the state of the terminal")  # fmt: skip
        # The terminal edits and shows lines again.
        self.type("echo typed-$((1+1))\n")
        eventually(lambda: "typed-2" in self.text() and "echo typed-" in self.text(), "the echo")

    def end(self):
        self.tmux("kill-server")


def shows_and_updates(page_stage):
    """top shows instances, faults and rates, and updates them"""
    page_stage.call("/proxy/balances?instance_id=down")
    page_stage.call("/proxy/a%3Cb%3E?secret=1")
    screen = Screen(page_stage)
    screen.start()
    text = screen.text()
    require(re.search(r"^down +closed +ok ", text, re.M) and re.search(r"^main +closed +ok ", text, re.M), text)
    require("UPSTREAM_REFUSED" in text and "GET /proxy/a%3Cb%3E " in text and "secret" not in text, text)
    before = int(re.search(r"Requests: (\d+)", text)[1])
    page_stage.call("/proxy/balances?instance_id=main")
    eventually(lambda: f"Requests: {before + 1}, " in screen.text(), "one more request")
    eventually(lambda: re.search(r"percentiles: last \d+ s", screen.text()), "the time of the rates")
    screen.press("x")
    # F2 is ESC O Q, Alt-q is ESC q; neither is q.
    for key in "F2", "M-q", "Up":
        screen.press(key)
    later = page_stage.call("/proxy/balances?instance_id=main")
    require(later == 200, "a call")
    eventually(lambda: f"Requests: {before + 2}, " in screen.text(), "a screen after keys without a meaning")
    screen.press("q")
    screen.require_restored(0)


def resizes(page_stage):
    """top follows the size of the terminal at once, and fits into it"""
    screen = Screen(page_stage)
    screen.start()
    for columns, rows in (60, 12), (200, 50), (20, 5), (100, 24):
        screen.tmux("resize-window", "-x", str(columns), "-y", str(rows))

        def fits():
            lines = screen.text().splitlines()
            return lines[0].startswith("blnk-gateway at") and len(lines) <= rows and max(map(len, lines)) <= columns

        eventually(fits, f"a screen of {columns} x {rows}")
    eventually(lambda: "Last refusals and faults" in screen.text(), "all tables")
    screen.press("q")
    screen.require_restored(0)


def restores_the_terminal(page_stage):
    """Ctrl-C, SIGTERM and SIGINT restore the terminal; Ctrl-Z does not leave it as it is"""
    for end in "C-c", signal.SIGTERM, signal.SIGINT:
        screen = Screen(page_stage)
        screen.start()
        screen.press("C-z")
        if isinstance(end, str):
            screen.press(end)
        else:
            os.kill(screen.process(), end)
        screen.require_restored(0)


def colors_only_when_wanted(page_stage):
    """Colors are for terminals without NO_COLOR"""
    for environment, has_colors in ("", True), ("NO_COLOR=1", False):
        screen = Screen(page_stage, environment=environment)
        screen.start()
        require(("\x1b[32m" in screen.text("-e")) == has_colors, f"colors with {environment!r}")
        screen.press("q")
        screen.require_restored(0)


def survives_the_gateway(page_stage):
    """top continues while the gateway is away, and says so; without one it does not begin"""
    screen = Screen(page_stage)
    screen.start()
    stage.stop(page_stage.process)
    eventually(lambda: "no gateway answers" in screen.text(), "the fault")
    other = Screen(page_stage)
    other.type(other.command + "; echo ended with $?\n")
    eventually(lambda: "error: top: no gateway answers" in other.text(), "the message")
    eventually(lambda: "ended with 1" in other.text(), "the exit code")
    page_stage.serve()
    eventually(lambda: "q quits." in screen.text(), "the next gateway")
    screen.press("q")
    screen.require_restored(0)


def is_for_scripts(page_stage):
    """--once --json is JSON, --once is text without controls"""
    command = [page_stage.gateway, "top", "--policies", page_stage.policies, "--once"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=20)
    require(done.returncode == 0 and len(json.loads(done.stdout)["instances"]) == 3, f"{done}")
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    require(done.returncode == 0 and done.stdout.startswith("State: serving\n"), f"{done}")
    require(all(character == "\n" or " " <= character <= "~" for character in done.stdout), "a control byte")
    (page_stage.folder / "admin.token").write_text("another\n")
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    require(done.returncode == 1 and "refuses the admin token" in done.stderr, f"{done}")


if __name__ == "__main__":
    stage.run([
        shows_and_updates, resizes, restores_the_terminal, colors_only_when_wanted, survives_the_gateway, is_for_scripts,
    ], sys.argv[1])  # fmt: skip
