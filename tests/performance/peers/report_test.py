"""Known answers for the statistics, the table and the counting of fsyncs."""

import unittest

import durability
import report
from peer import Sample, Setting, System

SYSTEM = System("queue", durability.STRICT, note="unfair to it")
SETTING = Setting("depth 8", 2)


def samples(*rates):
    return [Sample(100, 100 / r, all_cpu_us=4000.0, broker_cpu_us=1000.0, latencies_us=[1000, 3000]) for r in rates]


class Statistics(unittest.TestCase):
    def test_percentile_is_the_nearest_rank(self):
        self.assertEqual([report.percentile(range(1, 101), p) for p in (50, 99, 100)], [50, 99, 100])
        self.assertEqual(report.percentile([7], 99), 7)
        self.assertEqual(report.percentile([3, 1, 2], 50), 2)

    def test_summary_takes_medians_over_repeats_and_percentiles_over_all_latencies(self):
        line = report.summary("q", SYSTEM, "1.0", SETTING, samples(10, 30, 20), durability.Counted(300, 100, 1.0))
        picked = {
            k: line[k]
            for k in (
                "jobs_per_s",
                "jobs_per_s_min",
                "jobs_per_s_max",
                "cpu_us_per_job",
                "cpu_us_per_job_broker",
                "latency_p50_ms",
                "latency_p99_ms",
                "latency_samples",
            )
        }
        self.assertEqual(
            picked,
            {
                "jobs_per_s": 20,
                "jobs_per_s_min": 10,
                "jobs_per_s_max": 30,
                "cpu_us_per_job": 40,
                "cpu_us_per_job_broker": 10,
                "latency_p50_ms": 1,
                "latency_p99_ms": 3,
                "latency_samples": 6,
            },
        )

    def test_a_system_without_latency_and_broker_shows_a_dash(self):
        line = report.summary("q", SYSTEM, "1.0", SETTING, [Sample(100, 1.0, 4000.0)], None)
        self.assertIn("| – / 40 | – / – |", report.table([line], []))

    def test_the_number_of_latencies_stands_beside_them(self):
        line = report.summary("q", SYSTEM, "1.0", SETTING, samples(1000), None)
        self.assertIn("| 1 / 3 (of 2) |", report.table([line], []))

    def test_table_marks_notes_and_names_what_was_not_run(self):
        line = report.summary("q", SYSTEM, "1.0", SETTING, samples(1000), durability.Counted(0, 100, 1.0))
        text = report.table([line, line], [("other", "it is not here")])
        self.assertEqual(text.count("queue [1]"), 2)
        self.assertEqual(text.count("[1] unfair to it."), 1)
        self.assertIn("**NOT AS CLAIMED** fsync before the answer (0.00 fsyncs a job, one in flight)", text)
        self.assertIn("Not run: other: it is not here", text)


class CountedFsyncs(unittest.TestCase):
    TRACE = [
        "12 100.5 fdatasync(7) = 0",
        "12 101.5 fsync(7 <unfinished ...>",
        "13 101.6 fdatasync(8) = 0",
        "12 101.7 <... fsync resumed>) = 0",
        "12 103.0 fdatasync(7) = 0",
        "12 103.1 +++ exited with 0 +++",
    ]

    def test_calls_are_counted_once_and_only_within_the_window(self):
        self.assertEqual(durability.count_syncs(self.TRACE, 101, 102), 2)
        self.assertEqual(durability.count_syncs(self.TRACE), 4)

    def test_strict_needs_an_fsync_for_each_job_that_is_alone(self):
        self.assertTrue(durability.STRICT.verdict(durability.Counted(100, 100, 1))[0])
        self.assertFalse(durability.STRICT.verdict(durability.Counted(98, 100, 1))[0])

    def test_strict_in_batches_needs_an_fsync_for_each_full_batch(self):
        self.assertTrue(durability.STRICT.verdict(durability.Counted(92, 20000, 1, False))[0])
        self.assertFalse(durability.STRICT.verdict(durability.Counted(15, 20000, 1, False))[0])

    def test_start_and_end_of_a_whole_program_are_no_breach(self):
        self.assertTrue(durability.NONE.verdict(durability.Counted(7, 20000, 1, False))[0])
        self.assertFalse(durability.NONE.verdict(durability.Counted(90, 20000, 1, False))[0])
        self.assertTrue(durability.ONE_SECOND.verdict(durability.Counted(9, 20000, 2, False))[0])
        self.assertFalse(durability.ONE_SECOND.verdict(durability.Counted(90, 20000, 2, False))[0])

    def test_periodic_classes_keep_their_period(self):
        self.assertTrue(durability.FIFTY_MS.verdict(durability.Counted(40, 9000, 2))[0])
        self.assertFalse(durability.FIFTY_MS.verdict(durability.Counted(2, 9000, 2))[0])
        self.assertTrue(durability.ONE_SECOND.verdict(durability.Counted(2, 9000, 2.5))[0])
        self.assertFalse(durability.ONE_SECOND.verdict(durability.Counted(0, 9000, 2.5))[0])

    def test_none_means_none(self):
        self.assertTrue(durability.NONE.verdict(durability.Counted(0, 10, 1))[0])
        self.assertFalse(durability.NONE.verdict(durability.Counted(1, 10, 1))[0])


if __name__ == "__main__":
    unittest.main()
