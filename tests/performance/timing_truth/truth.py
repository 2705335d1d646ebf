"""Counts how often the judge's figures are true: runs kevolve-truth on kernels of known ratio, quiet and loaded, and
prints a Markdown table and one JSON line. run.sh is the way to start it; README.md says what is counted."""

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import threading

import analysis

# Takes a core and its caches: what a careless neighbour does. Started and ended by its own process id.
NEIGHBOUR = "import array\na = array.array('q', range(1 << 21))\nwhile True:\n    a = a[1:] + a[:1]\n"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, prog="run.sh")
    parser.add_argument("--program", default="build/bin/kevolve-truth", help="prints one JSON line for each repetition")
    parser.add_argument("--load", type=int, default=1, help="neighbours in the loaded half; 0: quiet only (default 1)")
    parser.add_argument("--keep", metavar="FILE", help="write all repetitions here too")
    parser.add_argument("--input", metavar="FILE", nargs="+", help="count these repetitions; run nothing")
    parser.add_argument("--lanes", type=int, default=0, help="so many programs side by side, each on two CPUs of its own")
    parser.add_argument("rest", nargs="*", metavar="-- ARGUMENT", help="handed to the program, e.g. -- --repetitions 1000")
    return parser.parse_args()


@contextlib.contextmanager
def neighbours(count):
    processes = [subprocess.Popen([sys.executable, "-c", NEIGHBOUR]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def read(stream, where, condition, keep, lines):
    """Adds the repetitions of an open text stream; cells are named after the condition, when there is one."""
    for number, text in enumerate(stream, 1):
        if not text.strip():
            continue
        line = analysis.parse(text, f"{where}, line {number}")
        if condition:
            line["cell"] += ", " + condition
        lines.append(line)
        if keep:
            keep.write(analysis.json.dumps(line) + "\n")


def lanes_of(count):
    """CPUs of each lane: the judge's and the one that is timed on. One lane has all there are."""
    cpus = sorted(os.sched_getaffinity(0))
    if count == 0:
        return [None]
    if 2 * count > len(cpus):
        raise analysis.BadLine(f"--lanes {count} needs {2 * count} CPUs; there are {len(cpus)}")
    return [cpus[2 * lane : 2 * lane + 2] for lane in range(count)]


def start(program, rest, lane, cpus):
    words = [program, *rest]
    if cpus:
        words += ["--core", str(cpus[1]), "--seed", str(lane + 1)]
    pin = (lambda: os.sched_setaffinity(0, cpus)) if cpus else None
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, preexec_fn=pin)


def measure(args, condition, load, keep):
    """What all lanes say; the first error of one ends them all."""
    lines, errors = [], []
    with neighbours(load):
        processes = [start(args.program, args.rest, lane, cpus) for lane, cpus in enumerate(lanes_of(args.lanes))]

        def follow(process):
            try:
                read(process.stdout, args.program, condition, keep, lines)
            except analysis.BadLine as error:
                errors.append(error)
            if process.wait() != 0:
                errors.append(analysis.BadLine(f"{args.program} ended with status {process.returncode} ({condition}); "
                                               "see its message above"))
            if errors:
                for other in processes:
                    other.kill()

        followers = [threading.Thread(target=follow, args=(process,)) for process in processes]
        try:
            for follower in followers:
                follower.start()
            for follower in followers:
                follower.join()
        finally:
            for process in processes:
                process.kill()
                process.stdout.close()
                process.wait()
    if errors:
        raise errors[0]
    return lines


def repetitions(args, keep):
    if args.input:
        lines = []
        for path in args.input:
            with open(path, encoding="utf-8") as stream:
                read(stream, path, None, keep, lines)
        return lines
    lines = measure(args, "quiet", 0, keep)
    if args.load > 0:
        lines += measure(args, "loaded", args.load, keep)
    return lines


def main():
    args = arguments()
    if not args.input and shutil.which(args.program) is None:
        print(f"error: there is no program {args.program}; give one with --program, or repetitions with --input", file=sys.stderr)
        return 2
    try:
        with contextlib.ExitStack() as stack:
            keep = stack.enter_context(open(args.keep, "w", encoding="utf-8")) if args.keep else None
            lines = repetitions(args, keep)
        summaries = analysis.by_cell(lines)
    except (analysis.BadLine, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if not summaries:
        print("error: no repetition was given; see --help", file=sys.stderr)
        return 2
    conditions = {"cores": len(os.sched_getaffinity(0)), "load": 0 if args.input else args.load}
    if args.lanes:
        conditions["lanes"] = args.lanes
    print(analysis.table(summaries))
    print(analysis.json_line(summaries, conditions))
    return 1 if any(summary["failures"] for summary in summaries) else 0


if __name__ == "__main__":
    sys.exit(main())
