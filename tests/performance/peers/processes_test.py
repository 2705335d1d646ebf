"""What was started is ended: children, their children, those in sessions of their own, those that will not listen."""

import os
import sys
import tempfile
import unittest

import processes

# Starts a grandchild in a session of its own that ignores SIGTERM, tells its id, and ends at once if asked to.
_LEAVES_ORPHAN = """
import os, signal, sys, time
pid = os.fork()
if pid == 0:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print(os.getpid(), flush=True)
    time.sleep(600)
if sys.argv[1] == "stay":
    time.sleep(600)
"""


def alive(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


class Ending(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        processes.become_reaper()

    def run_with_orphan(self, how):
        with tempfile.TemporaryDirectory() as folder:
            with processes.Processes(folder) as started:
                child = started.start("child", [sys.executable, "-c", _LEAVES_ORPHAN, how], pipe=True)
                orphan = int(child.stdout.readline())
                self.assertTrue(alive(orphan))
            return child, orphan

    def test_a_grandchild_that_ignores_sigterm_is_ended_with_its_parent(self):
        child, orphan = self.run_with_orphan("stay")
        self.assertEqual((alive(child.pid), alive(orphan)), (False, False))

    def test_an_orphan_of_a_child_that_has_ended_is_ended(self):
        child, orphan = self.run_with_orphan("leave")
        self.assertEqual((alive(child.pid), alive(orphan)), (False, False))

    def test_processes_end_when_the_block_is_left_by_an_error(self):
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaises(KeyboardInterrupt):
                with processes.Processes(folder) as started:
                    child = started.start("sleeper", ["sleep", "600"])
                    raise KeyboardInterrupt
            self.assertFalse(alive(child.pid))

    def test_a_process_that_ended_early_is_reported_with_its_last_words(self):
        with tempfile.TemporaryDirectory() as folder, processes.Processes(folder) as started:
            child = started.start("broken", ["sh", "-c", "echo no disk; exit 3"])
            child.wait()
            with self.assertRaisesRegex(processes.Failed, "broken ended with status 3: no disk"):
                started.check()

    def test_processor_time_of_ended_processes_stays_counted(self):
        with tempfile.TemporaryDirectory() as folder:
            before = processes.cpu_us()
            with processes.Processes(folder) as started:
                started.start(
                    "burner", [sys.executable, "-c", "import time\nwhile time.process_time() < 0.3: pass"]
                ).wait()
            self.assertGreaterEqual(processes.cpu_us() - before, 0.25e6)


if __name__ == "__main__":
    unittest.main()
