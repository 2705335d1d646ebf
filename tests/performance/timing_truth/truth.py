"""Counts how often the judge's figures are true: runs kevolve-truth on kernels of known ratio, quiet and loaded, and
prints a Markdown table and one JSON line. run.sh is the way to start it; README.md says what is counted."""

import argparse
import contextlib
import os
import shutil
import subprocess
import sys

import analysis

# Takes a core and its caches: what a careless neighbour does. Started and ended by its own process id.
NEIGHBOUR = "import array\na = array.array('q', range(1 << 21))\nwhile True:\n    a = a[1:] + a[:1]\n"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, prog="run.sh")
    parser.add_argument("--program", default="build/bin/kevolve-truth", help="prints one JSON line for each repetition")
    parser.add_argument("--load", type=int, default=1, help="neighbours in the loaded half; 0: quiet only (default 1)")
    parser.add_argument("--keep", metavar="FILE", help="write all repetitions here too")
    parser.add_argument("--input", metavar="FILE", action="append", help="count these repetitions; run nothing")
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


def read(stream, where, condition, keep):
    """Repetitions of an open text stream; cells are named after the condition, when there is one."""
    lines = []
    for number, text in enumerate(stream, 1):
        if not text.strip():
            continue
        line = analysis.parse(text, f"{where}, line {number}")
        if condition:
            line["cell"] += ", " + condition
        lines.append(line)
        if keep:
            keep.write(analysis.json.dumps(line) + "\n")
    return lines


def measure(program, rest, condition, load, keep):
    with neighbours(load), subprocess.Popen([program, *rest], stdout=subprocess.PIPE, text=True) as process:
        try:
            lines = read(process.stdout, program, condition, keep)
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise analysis.BadLine(f"{program} ended with status {process.returncode} ({condition}); see its message above")
    return lines


def repetitions(args, keep):
    if args.input:
        lines = []
        for path in args.input:
            with open(path, encoding="utf-8") as stream:
                lines += read(stream, path, None, keep)
        return lines
    lines = measure(args.program, args.rest, "quiet", 0, keep)
    if args.load > 0:
        lines += measure(args.program, args.rest, "loaded", args.load, keep)
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
    print(analysis.table(summaries))
    print(analysis.json_line(summaries, conditions))
    return 1 if any(summary["failures"] for summary in summaries) else 0


if __name__ == "__main__":
    sys.exit(main())
