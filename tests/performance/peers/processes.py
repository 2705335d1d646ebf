"""Starts the processes of one measurement, adds up their processor time, and ends every one of them.

Nothing is found by name: the driver is made the reaper of all its descendants, so that what a peer leaves behind
becomes a child of the driver and is ended by its id. If the driver is killed, the kernel kills what it had started.
"""

import ctypes
import os
import signal
import socket
import subprocess
import time

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")
_libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """A peer could not be measured; the message says why."""


def become_reaper():
    """To be called once: orphans of what this process starts become its children."""
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(what, condition, seconds=15.0):
    """Polls an outside process for a bounded time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.01)


def port_answers(port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


def _stat(pid):
    """(parent, state, own µs, µs of ended children), or None when the process is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            fields = f.read().rsplit(b") ", 1)[1].split()
    except OSError:
        return None
    own, children = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    return int(fields[1]), fields[0].decode(), own * _TICK_US, children * _TICK_US


def _tree():
    """All processes: id -> _stat."""
    stats = {int(name): _stat(name) for name in os.listdir("/proc") if name.isdigit()}
    return {pid: s for pid, s in stats.items() if s}


def _descendants(tree, root):
    children = {}
    for pid, stat in tree.items():
        children.setdefault(stat[0], []).append(pid)
    found, left = [], [root]
    while left:
        below = children.get(left.pop(), [])
        found += below
        left += below
    return found


def cpu_us(pid=None):
    """Processor time of one process and its ended children; without an id, of all that this driver ever started."""
    if pid is not None:
        stat = _stat(pid)
        return stat[2] + stat[3] if stat else 0.0
    tree = _tree()
    total = tree[os.getpid()][3]
    return total + sum(tree[p][2] + tree[p][3] for p in _descendants(tree, os.getpid()))


class Processes:
    """A block: what `start` started is ended when the block ends, however it ends."""

    def __init__(self, folder):
        self.folder = folder
        self._started = []

    def __enter__(self):
        return self

    def start(self, name, argv, env=None, pipe=False):
        """Runs argv with its output in NAME.log; with `pipe`, its input and output belong to the caller."""
        log = open(os.path.join(self.folder, name + ".log"), "wb")
        process = subprocess.Popen(
            argv,
            cwd=self.folder,
            env={**os.environ, **(env or {})},
            text=pipe,
            start_new_session=True,
            stdin=subprocess.PIPE if pipe else subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipe else log,
            stderr=log,
            preexec_fn=lambda: _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0),
        )
        log.close()
        process.name = name
        self._started.append(process)
        return process

    def last_words(self, name, lines=3):
        """The end of a log, for an error message."""
        try:
            with open(os.path.join(self.folder, name + ".log"), errors="replace") as f:
                return " | ".join(line.strip() for line in f.readlines()[-lines:]) or "it said nothing"
        except OSError:
            return "it left no log"

    def check(self):
        for p in self._started:
            if p.poll() is not None:
                raise Failed(f"{p.name} ended with status {p.returncode}: {self.last_words(p.name)}")

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Ends all that was started, last first. A second call finds nothing left."""
        for p in reversed(self._started):
            for stream in (p.stdin, p.stdout):
                if stream:
                    try:
                        stream.close()
                    except OSError:
                        pass
            if p.poll() is None:
                p.terminate()
                try:
                    p.wait(5)
                except subprocess.TimeoutExpired:
                    p.kill()
                    p.wait()
        self._started.clear()
        end_descendants()


def end_descendants(grace_s=2.0):
    """Ends what is left below this process: first by itself, then asked to, then by force."""
    begin = time.monotonic()
    asked = False
    while True:
        tree = _tree()
        left = _descendants(tree, os.getpid())
        for pid in left:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass  # not ours yet: its parent still lives
        left = [p for p in left if (s := _stat(p)) and s[1] != "Z"]
        if not left:
            return
        waited = time.monotonic() - begin
        if waited > grace_s:
            _signal(left, signal.SIGKILL)
        elif waited > grace_s / 2 and not asked:
            asked = True
            _signal(left, signal.SIGTERM)
        time.sleep(0.02)


def _signal(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass
