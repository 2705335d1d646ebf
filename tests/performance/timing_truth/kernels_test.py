"""The kernels of known ratio do what their reference does, whatever WORK is, and the tasks offer every ratio."""

import ctypes
import os
import re
import subprocess
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
RATIOS = {714: 1.0, 700: 1.02, 680: 1.05, 595: 1.2, 357: 2.0}


def build(folder, task, source, name, work=None):
    path = os.path.join(folder, name + ".so")
    flags = ["-std=gnu11", "-O3", "-march=native", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror"]
    flags += [] if work is None else [f"-DWORK={work}"]
    subprocess.run(["cc", *flags, "-o", path, os.path.join(HERE, task, source)], check=True)
    return ctypes.CDLL(path)


class Kernels(unittest.TestCase):
    def outputs(self, task, source, name, call):
        with tempfile.TemporaryDirectory() as folder:
            reference = call(build(folder, task, "reference.c", "reference"))
            self.assertEqual(call(build(folder, task, source, "plain")), reference)
            for work in (0, 1, *RATIOS):
                self.assertEqual(call(build(folder, task, source, f"{name}{work}", work)), reference, work)

    def test_chain_copies_whatever_its_work(self):
        def call(library):
            x, y = (ctypes.c_float * 8)(*(0.37 * i - 1 for i in range(8))), (ctypes.c_float * 8)()
            library.chain(x, y, ctypes.c_int64(8))
            return list(y)

        self.outputs("task-chain", "chain.c", "chain", call)

    def test_stream_gives_the_head_whatever_its_work(self):
        def call(library):
            x, y = (ctypes.c_int32 * 1001)(*range(7, 1008)), (ctypes.c_int32 * 16)()
            library.stream(x, y, ctypes.c_int64(1001), ctypes.c_int64(16))
            return list(y)

        self.outputs("task-stream", "stream.c", "stream", call)

    def test_tasks_offer_each_ratio_and_say_so(self):
        for task in ("task-chain", "task-stream"):
            with open(os.path.join(HERE, task, "task.yaml"), encoding="utf-8") as f:
                text = f.read()
            offered = [int(w) for w in re.search(r"WORK: \[([^]]*)\]", text)[1].split(",")]
            self.assertEqual(offered, list(RATIOS))
            self.assertEqual([714 / w for w in offered], list(RATIOS.values()))


if __name__ == "__main__":
    unittest.main()
