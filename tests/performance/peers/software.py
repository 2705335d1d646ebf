"""Gets the peers into a cache folder: nothing is installed on the machine, so no service of a package is started.

Debian packages are downloaded with apt-get and unpacked; Python packages go into virtual environments; the native
clients are compiled. What is there already is used again.
"""

import glob
import hashlib
import os
import shutil
import subprocess
import sys

from processes import Failed

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))


def say(text):
    print(text, file=sys.stderr, flush=True)


class Software:
    def __init__(self, cache):
        self.cache = cache
        os.makedirs(cache, exist_ok=True)

    def debian(self, package, program):
        """(path of the program, environment it needs)."""
        unpacked = os.path.join(self.cache, "debian", package)
        path = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
        if path:
            return path, {}
        if not os.path.exists(os.path.join(unpacked, "complete")):
            self._unpack(package, unpacked)
        found = [p for p in glob.glob(f"{unpacked}/usr/*bin/{program}")]
        if not found:
            raise Failed(f"Debian's package {package} has no program {program}")
        return found[0], {"LD_LIBRARY_PATH": ":".join(glob.glob(f"{unpacked}/usr/lib/*-linux-*"))}

    def _unpack(self, package, unpacked):
        say(f"getting Debian's {package} …")
        shutil.rmtree(unpacked, ignore_errors=True)
        os.makedirs(unpacked)
        simulate = ["apt-get", "-s", "install", "--no-install-recommends", package]
        listing = _run(simulate)
        if listing.returncode != 0 and os.geteuid() == 0:
            _run(["apt-get", "update", "-q"])
            listing = _run(simulate)
        names = [line.split()[1] for line in listing.stdout.splitlines() if line.startswith("Inst ")]
        if listing.returncode != 0 or not names:
            raise Failed(f"apt-get knows no {package}: run `apt-get update` as root, or `apt-get install {package}`")
        got = _run(["apt-get", "download", "-q", *names], cwd=unpacked)
        if got.returncode != 0:
            raise Failed(f"apt-get could not download {package}: {_last_line(got)}; run `apt-get update` as root")
        for archive in glob.glob(f"{unpacked}/*.deb"):
            subprocess.run(["dpkg", "-x", archive, unpacked], check=True)
            os.remove(archive)
        open(os.path.join(unpacked, "complete"), "w").close()

    def python(self, package):
        """Path of an interpreter that has the packages of requirements.txt, `package` among them."""
        with open(os.path.join(HERE, "requirements.txt"), "rb") as f:
            wanted = [line for line in f.read().decode().split("\n") if line and not line.startswith("#")]
        line = next(w for w in wanted if w.startswith(package + "=="))
        # One environment for each peer: if one is not to be had, the others still are.
        with_it = [line] + [w for w in wanted if w.split("==")[0] in ("redis", "dask")]
        key = hashlib.sha256("\n".join(with_it).encode()).hexdigest()[:8]
        folder = os.path.join(self.cache, f"python-{package}-{key}")
        interpreter = os.path.join(folder, "bin", "python")
        if not os.path.exists(os.path.join(folder, "complete")):
            say(f"getting {line} from the Python package index …")
            shutil.rmtree(folder, ignore_errors=True)
            made = _run([sys.executable, "-m", "venv", folder])
            if made.returncode != 0:
                raise Failed(f"no virtual environment: {_last_line(made)}; `apt-get install python3-venv`")
            got = _run([interpreter, "-m", "pip", "install", "-q", "--disable-pip-version-check", *with_it])
            if got.returncode != 0:
                raise Failed(f"pip could not install {line}: {_last_line(got)}")
            open(os.path.join(folder, "complete"), "w").close()
        return interpreter

    def native(self, source):
        """Compiles SOURCE.cc of this folder, anew when it or its header changed."""
        parts = [os.path.join(HERE, source + ".cc"), os.path.join(HERE, "client_session.h")]
        digest = hashlib.sha256(b"".join(open(p, "rb").read() for p in parts)).hexdigest()[:8]
        program = os.path.join(self.cache, f"{source}-{digest}")
        if not os.path.exists(program):
            say(f"compiling {source}.cc …")
            built = _run(["g++", "-std=c++20", "-O2", "-Wall", "-Wextra", "-I", ROOT, "-o", program + ".new", parts[0]])
            if built.returncode != 0:
                raise Failed(f"g++ refuses {source}.cc: {_last_line(built)}")
            os.rename(program + ".new", program)
        return program


def _run(argv, **options):
    try:
        return subprocess.run(
            argv, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, **options
        )
    except FileNotFoundError:
        raise Failed(f"there is no {argv[0]} here") from None


def _last_line(done):
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1] if lines else f"status {done.returncode}"


def first_line(argv, env=None):
    """What a program says of its version."""
    done = _run(argv, env={**os.environ, **(env or {})})
    return ((done.stdout or done.stderr).strip().splitlines() or ["?"])[0]


def output(argv):
    """All that a program prints."""
    done = _run(argv)
    return done.stdout + done.stderr
