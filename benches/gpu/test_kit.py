"""The kit's own tests: `python3 -m unittest discover -s benches/gpu`. They need neither torch nor a GPU nor the binary."""

from __future__ import annotations

import json
import struct
import tempfile
import unittest
from pathlib import Path

import inputs
import report
import tensors
from correctness import judged_logits, same_bits
from inputs import TokenBatch
from results import Results, not_run
from speed import Choice, Speed, lockstep_row
from timing import Deadline, OutOfTime, quantile, repeated, summary

GPU = {"id": "cuda:0", "name": "a GPU", "driver": "580", "simulated": False, "on_processor": False}


def timed_row(name: str, place: str, number: int, p50: float) -> dict:
    times = {"p50": p50, "p95": 2 * p50, "p99": 3 * p50}
    row = {"contender": name, "dtype": "f16", "place": place, "round": number, "status": "measured"}
    return row | {"end_to_end_ms": times, "sequences_per_second": 1e3 / p50}


class Statistics(unittest.TestCase):
    def test_quantiles_are_samples_as_the_command_takes_them(self) -> None:
        samples = [float(at) for at in range(101, 0, -1)]
        self.assertEqual(summary(samples), {"p50": 51.0, "p95": 96.0, "p99": 100.0})
        self.assertEqual(quantile([3.0], 0.99), 3.0)

    def test_no_samples_have_no_quantile(self) -> None:
        with self.assertRaises(ValueError):
            quantile([], 0.5)

    def test_warm_ups_do_not_count_and_a_device_time_stands_apart(self) -> None:
        calls = iter(range(1000))
        timed = repeated(lambda: float(next(calls)), 1e-9, Deadline(60))
        self.assertEqual(timed.on_device, [5.0, 6.0, 7.0, 8.0, 9.0])
        self.assertEqual(len(timed.end_to_end), 5)

    def test_a_deadline_ends_a_loop(self) -> None:
        with self.assertRaises(OutOfTime):
            repeated(lambda: None, 60.0, Deadline(1e-6))


class Inputs(unittest.TestCase):
    def test_lengths_are_skewed_and_the_same_in_every_run(self) -> None:
        lengths = inputs.skewed_lengths(texts=4096)
        mean = sum(lengths) / len(lengths)
        # The mean of 4096 draws with a deviation of 52 is off by less than 4 deviations of 52 / 64.
        self.assertAlmostEqual(mean, inputs.MEAN, delta=4 * 52 / 64)
        self.assertTrue(all(8 <= length <= 512 for length in lengths))
        self.assertEqual(inputs.skewed_lengths(), inputs.skewed_lengths())

    def test_a_batch_is_padded_to_its_longest(self) -> None:
        batch = TokenBatch([[5, 6], [7]])
        self.assertEqual((batch.ids(), batch.mask(), batch.is_full), ([[5, 6], [7, 0]], [[1, 1], [1, 0]], False))

    def test_a_batch_is_saved_as_the_command_reads_it(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            folder = TokenBatch([[5, 6], [7]]).save(Path(scratch) / "batch")
            read = tensors.read(folder / "inputs.safetensors")
        self.assertEqual(list(read), ["input_ids", "token_type_ids", "attention_mask"])
        self.assertEqual(read["input_ids"], tensors.Tensor("I64", (2, 2), struct.pack("<4q", 5, 6, 7, 0)))

    def test_a_file_that_is_cut_short_is_an_error_that_names_it(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "x.safetensors"
            tensors.write(path, {"a": tensors.Tensor("F32", (2,), b"\0" * 8)})
            whole = path.read_bytes()
            for length in (0, 7, 20, len(whole) - 1):
                path.write_bytes(whole[:length])
                with self.assertRaisesRegex(ValueError, "x.safetensors"):
                    tensors.read(path)


class Judgement(unittest.TestCase):
    TRUTH = [[1.0, 0.0], [0.0, 1.0]]

    def test_no_farther_than_pytorch_passes(self) -> None:
        row = judged_logits([[1.01, 0.0], [0.0, 1.0]], [[1.02, 0.0], [0.0, 1.0]], self.TRUTH)
        self.assertEqual(row["status"], "pass")
        row = judged_logits([[1.03, 0.0], [0.0, 1.0]], [[1.02, 0.0], [0.0, 1.0]], self.TRUTH)
        self.assertEqual(row["status"], "farther")

    def test_a_clear_label_that_changes_fails_and_a_near_tie_does_not(self) -> None:
        flipped = [[1.0, 0.0], [1.0, 0.9]]
        self.assertEqual(judged_logits(flipped, self.TRUTH, self.TRUTH)["status"], "fail")
        self.assertEqual(judged_logits(flipped, [[1.6, 0.0], [0.0, 1.0]], self.TRUTH)["status"], "farther")

    def test_a_nan_fails_wherever_it_stands(self) -> None:
        for ours in ([[1.0, float("nan")], [0.0, 1.0]], [[1.0, 0.0], [float("nan"), 1.0]]):
            self.assertEqual(judged_logits(ours, self.TRUTH, self.TRUTH)["status"], "fail")

    def test_one_changed_bit_in_one_batch_fails(self) -> None:
        def rows(*values: float) -> tensors.Tensor:
            return tensors.Tensor("F32", (len(values), 1), struct.pack(f"<{len(values)}f", *values))

        selections = [[0, 1, 2], [0], [2, 1]]
        self.assertEqual(same_bits(selections, [rows(0, 1, 2), rows(0), rows(2, 1)])["status"], "pass")
        changed = same_bits(selections, [rows(0, 1, 2), rows(-0.0), rows(2, 1)])
        self.assertEqual(changed["status"], "fail")
        self.assertIn("text 0 in the batch of 1", changed["detail"])


class Turns(unittest.TestCase):
    def test_compilers_have_rounds_of_their_own_after_all_others(self) -> None:
        speed = Speed.__new__(Speed)
        speed.choice = Choice(["f16", "f32"], ["compile-max-autotune", "sdpa"], [(1, 8)], 0.1)
        turns = [(dtype, number, names[0]) for dtype, number, names in speed._turns()]
        self.assertEqual([turn[2] for turn in turns], ["sdpa"] * 4 + ["compile-max-autotune"] * 4)
        self.assertEqual(turns[:3], [("f16", 1, "sdpa"), ("f16", 2, "sdpa"), ("f32", 1, "sdpa")])
        self.assertEqual(turns[4], ("f16", 3, "compile-max-autotune"))

    def test_a_result_of_the_command_is_a_row_like_a_peer_s(self) -> None:
        times = {"median_ms": 2.0, "p95_ms": 3.0, "p99_ms": 4.0}
        row = lockstep_row(times | {"runs": 9, "on_device": times, "share_of_roofline": 0.5}, 8)
        self.assertEqual((row["on_device_ms"]["p99"], row["sequences_per_second"]), (4.0, 4000.0))
        self.assertEqual(row["share_of_roofline"], 0.5)


class Record(unittest.TestCase):
    def opened(self, folder: str, rehearsal: bool = False, **changes: object) -> Results:
        return Results(Path(folder), GPU | changes, rehearsal)

    def test_rows_survive_a_call_that_is_cut(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            results = self.opened(folder)
            results.begin("speed", "run.py")
            results.add("speed", "a", timed_row("lockstep", "1x8", 1, 2.0))
            page = report.page(self.opened(folder), "2026-01-01")
        self.assertIn("**cut**: the call ended before the phase did", page)
        self.assertIn("| f16 | 1x8 | lockstep | 2.000 to 2.000 | 4.000 / 6.000 | - | 500 | - |", page)
        self.assertNotIn("rehearsal", page)

    def test_a_later_call_stands_beside_the_first(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for p50 in (2.0, 4.0):
                results = self.opened(folder)
                results.begin("speed", f"call {p50}")
                results.add("speed", "a", timed_row("lockstep", "1x8", 1, p50))
                results.end("speed", "done")
            page = report.page(results, "2026-01-01")
        self.assertIn("2.000 to 2.000", page)
        self.assertIn("4.000 to 4.000", page)

    def test_results_of_another_device_are_refused(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            self.opened(folder).begin("speed", "run.py")
            with self.assertRaisesRegex(ValueError, "--out"):
                self.opened(folder, name="another GPU")

    def test_a_file_that_is_not_ours_is_refused_and_kept(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for text in ("garbage", "[]", "{}"):
                (Path(folder) / "results.json").write_text(text)
                with self.assertRaisesRegex(ValueError, "--out"):
                    self.opened(folder)
                self.assertEqual((Path(folder) / "results.json").read_text(), text)

    def test_a_rehearsal_says_so_at_every_table(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            page = report.page(self.opened(folder, rehearsal=True), "2026-01-01")
        titles = [line for line in page.splitlines() if line.startswith("#")]
        self.assertTrue(titles and all("rehearsal, not a measurement" in title for title in titles), titles)

    def test_what_did_not_run_is_no_pass_and_no_failure(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            results = self.opened(folder)
            results.begin("correctness", "run.py")
            results.add("correctness", "logits f16", not_run("torch missing"))
            self.assertEqual(results.failures(), [])
            self.assertIn("| logits f16 | not run | torch missing |", report.page(results, "2026-01-01"))
            results.add("correctness", "repeats", {"status": "fail", "detail": "3 of 4 values"})
            self.assertEqual(results.failures(), ["correctness, repeats: 3 of 4 values"])

    def test_rounds_are_lowest_to_highest_and_rows_go_by_place(self) -> None:
        rows = {}
        for number, name, place, p50 in [(1, "lockstep", "1x8", 3.0), (1, "lockstep", "2x8", 9.0), (1, "sdpa", "1x8", 5.0),
                                         (2, "lockstep", "1x8", 1.0)]:
            rows[f"{number}{name}{place}"] = timed_row(name, place, number, p50)
        lines = report.timed_table(rows, "shape").splitlines()[2:]
        self.assertEqual([line.split(" | ")[1:4] for line in lines],
                         [["1x8", "lockstep", "1.000 to 3.000"], ["1x8", "sdpa", "5.000 to 5.000"],
                          ["2x8", "lockstep", "9.000 to 9.000"]])

    def test_results_are_json_that_anyone_can_read(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            results = self.opened(folder, rehearsal=True)
            results.begin("discovery", "run.py")
            read = json.loads((Path(folder) / "results.json").read_text())
        self.assertEqual((read["schema"], read["label"]), ("lockstep-gpu-kit/1", "rehearsal, not a measurement"))


if __name__ == "__main__":
    unittest.main()
