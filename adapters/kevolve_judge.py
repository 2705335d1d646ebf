"""Calls `kevolve judge` and gives its result; shared by the adapters beside this file.

A kernel that is refused is a result (verdict, reason, speedup 0). What keeps the judge from judging at all
(no program, a broken task, a machine that refuses) is JudgeError. Standard library only.
"""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

ACCEPTED, REFUSED = 0, 4  # exit codes; all others are no judgement (docs/exit-codes.md)


class JudgeError(Exception):
    """There is no judgement. The message says why."""


def program(path=None):
    """Path of the program: `path`, else $KEVOLVE, else `kevolve` of a build beside this folder or of $PATH."""
    wanted = path or os.environ.get("KEVOLVE")
    built = Path(__file__).resolve().parent.parent / "build" / "bin" / "kevolve"
    found = shutil.which(wanted) if wanted else (str(built) if built.exists() else shutil.which("kevolve"))
    if not found:
        raise JudgeError(
            f"there is no program {wanted or 'kevolve'}; set KEVOLVE to the path of kevolve (build/bin/kevolve)"
        )
    return found


def judge(task, source, target=None, launches=None, screen=False, timeout_s=600.0, kevolve=None):
    """The judge's result object for the kernel in the file `source`.

    task: name of a shipped task, or a task folder. launches: of the final measurement, None for as many as a
    claim needs. screen: check and measure as a search does first, fast and without a claim.
    """
    words = [program(kevolve), "judge", "--task", str(task), "--source", str(source), "--json"]
    words += ["--target", str(target)] if target else []
    words += ["--launches", str(launches)] if launches else []
    words += ["--screen"] if screen else []
    # A group of its own, so that a deadline ends compilers and kernels too.
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            out, err = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            _end(process)
            raise JudgeError(f"no judgement of {source} within {timeout_s:g} s; give it more time") from None
        except BaseException:
            _end(process)
            raise
    if process.returncode not in (ACCEPTED, REFUSED):
        raise JudgeError(f"kevolve judge ended with {process.returncode}: {err.strip() or out.strip()}")
    try:
        return json.loads(out.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise JudgeError(f"kevolve judge gave no result; its last words: {(err or out)[-500:]!r}") from None


def _end(process):
    """Asks the judge to end, so that it removes what it made; then makes sure."""
    process.send_signal(signal.SIGTERM)
    try:
        process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
