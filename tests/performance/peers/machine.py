"""What the figures depend on: processor, system, file system and its fdatasync, load of others."""

import os
import platform
import time

import report
from processes import Failed


def describe(folder):
    with open("/proc/cpuinfo") as f:
        model = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), platform.machine())
    p50, p99 = fdatasync_ms(folder)
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "file_system": file_system(folder),
        "fdatasync_512_B_p50_ms": round(p50, 3),
        "fdatasync_512_B_p99_ms": round(p99, 3),
        "load_before": round(os.getloadavg()[0], 2),
        "date": time.strftime("%Y-%m-%d"),
    }


def file_system(folder):
    """Type of the mount that holds `folder`."""
    best = ("", "?")
    with open("/proc/self/mounts") as f:
        for line in f:
            _, point, kind, *_ = line.split()
            inside = folder == point or folder.startswith(point.rstrip("/") + "/")
            if inside and len(point) >= len(best[0]):
                best = (point, kind)
    return best[1]


def refuse_memory(folder):
    if file_system(folder) in ("tmpfs", "ramfs"):
        raise Failed(
            f"{folder} is on {file_system(folder)}, where an fsync costs nothing: set TMPDIR to a folder on a disk"
        )


def fdatasync_ms(folder, rounds=200):
    path = os.path.join(folder, "probe")
    times = []
    with open(path, "wb", buffering=0) as f:
        for _ in range(rounds):
            f.write(b"x" * 512)
            begin = time.perf_counter()
            os.fdatasync(f.fileno())
            times.append((time.perf_counter() - begin) * 1000)
    os.remove(path)
    return report.percentile(times, 50), report.percentile(times, 99)
