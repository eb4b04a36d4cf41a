"""What jobs took, noted by one campaign and asked by the next."""

import json
import threading

import pytest

from mechscreen.errors import FileError, InputError
from mechscreen.runs.forecast import Ratio, forecast, one_line
from mechscreen.runs.plan import plan
from mechscreen.runs.used import done_file, note_done, used, used_by_run, write_used
from mechscreen.stages.table import Cost


@pytest.fixture
def note(tmp_path):
    def one(rule="simulate_shard", *, seconds, megabytes=None, cost, tasks=1, lost=0.0, shares=1):
        benchmark = tmp_path / "job.tsv"
        benchmark.write_text(f"s\tmax_rss\n{seconds}\t{'NA' if megabytes is None else megabytes}\n")
        done_file(tmp_path).parent.mkdir(exist_ok=True)
        note_done(tmp_path, rule, "shard-00000", benchmark, cost, tasks, lost, shares)
        return used(tmp_path)[rule]

    return one


def test_a_model_that_is_slower_than_it_says_is_given_what_it_took(note):
    # 500 core-seconds were forecast; on two ranks it took 1,004 s, 4 s of which are a start.
    ratio = note(seconds=1004, cost=Cost(500, 1000, mpi=True), tasks=2)
    assert ratio.work == pytest.approx(4)
    assert ratio.corrected(Cost(5000, 1000)).core_seconds == pytest.approx(20_000)


def test_attempts_that_met_their_time_limit_count(note):
    assert note(seconds=404, lost=600, cost=Cost(500, 1000, mpi=True), tasks=2).work == pytest.approx(4)


def test_the_median_of_jobs_counts_and_not_a_node_that_was_slow(note):
    for seconds in (1004, 1104, 90_000):
        ratio = note(seconds=seconds, cost=Cost(1000, 1000))
    assert ratio.jobs == 3
    assert ratio.work == pytest.approx(1.1)


def test_a_job_that_is_all_start_tells_nothing_of_the_work(note):
    ratio = note(seconds=20, cost=Cost(0.5, 1000))
    assert ratio.work == 1
    assert ratio.corrected(Cost(500, 1000)) == Cost(500, 1000, start=20)


def test_a_job_that_was_forecast_as_a_start_and_took_long_is_work(note):
    assert note(seconds=304, cost=Cost(3, 1000)).work == pytest.approx(100)


def test_memory_is_asked_for_with_half_as_much_to_spare_and_no_less_than_half_the_forecast(note):
    assert note(seconds=60, megabytes=4000, cost=Cost(500, 3000)).memory == pytest.approx((1.5 * 4000 + 300) / 3000)


def test_memory_is_not_asked_for_by_less_than_half_the_forecast(note):
    assert note(seconds=60, megabytes=200, cost=Cost(500, 3000)).memory == 0.5


def test_ranks_may_be_on_nodes_that_were_not_measured_and_ask_for_no_less_than_forecast(note):
    assert note(seconds=60, megabytes=900, cost=Cost(500, 1000, mpi=True), tasks=4).memory == 1


def test_a_job_that_lacked_memory_is_given_at_once_what_was_enough(note):
    assert note(seconds=60, megabytes=900, cost=Cost(500, 1000, mpi=True), tasks=4, shares=3).memory == 3


def test_a_job_that_was_done_before_it_was_expected_to_begin_is_half_work(note):
    assert note(seconds=2, cost=Cost(100, 1000)).work == pytest.approx(0.01)


def test_what_memory_depends_on_size_is_never_taken_for_less():
    cost = Ratio(jobs=1, memory=0.5).corrected(Cost(1, 1000, memory_of_rank=1e8, memory_of_job=4e8))
    assert cost.megabytes_of_rank(4) == 500 + 100 + 100


def test_memory_of_all_kinds_grows_alike():
    cost = Ratio(jobs=1, memory=2).corrected(Cost(1, 1000, memory_of_rank=1e8, memory_of_job=4e8))
    assert cost.megabytes_of_rank(4) == 2 * (1000 + 100 + 100)


def test_lines_that_are_none_are_passed_over(note, tmp_path):
    note(seconds=1004, cost=Cost(1000, 1000))
    with done_file(tmp_path).open("a") as stream:
        stream.write('{"rule": "simulate_sh\n')
        stream.write(json.dumps({"rule": "simulate_shard", "seconds": "nan"}) + "\n")
    assert used(tmp_path)["simulate_shard"].jobs == 1


def test_what_a_run_asks_by_is_found_by_its_jobs(tmp_path):
    assert used_by_run(tmp_path, "") == {}
    ratios = {"simulate_shard": Ratio(jobs=2, work=0.02, start=9.0, memory=1.5)}
    write_used(tmp_path, "a", ratios)
    assert used_by_run(tmp_path, "a") == ratios
    assert used_by_run(tmp_path, "") == ratios


def test_a_job_waits_for_what_its_run_asks_by_and_ends_where_that_does_not_come(tmp_path):
    write_used(tmp_path, "a", {})
    with pytest.raises(FileError, match="not of the run that this job belongs to"):
        used_by_run(tmp_path, "b", patience=0)
    later = threading.Timer(0.5, write_used, (tmp_path, "b", {"simulate_shard": Ratio(jobs=1)}))
    later.start()
    assert used_by_run(tmp_path, "b", patience=30) == {"simulate_shard": Ratio(jobs=1)}
    later.join()


def test_a_folder_without_measurements_is_told(campaign, tmp_path):
    with pytest.raises(InputError, match=r"'resources_like': .*none: holds no campaign"):
        used(campaign.paths.root, tmp_path / "none")
    with pytest.raises(InputError, match=r"'resources_like': .* holds no job that was measured"):
        used(tmp_path / "new", campaign.paths.root)


def test_a_forecast_by_jobs_that_were_done_says_so(campaign):
    steps = forecast(campaign, ratios={"simulate_shard": Ratio(jobs=3, work=10)})
    before = {step.rule.name: step for step in forecast(campaign)}
    for step in steps:
        by_jobs = step.rule.name == "simulate_shard"
        assert step.core_seconds == pytest.approx(before[step.rule.name].core_seconds * (10 if by_jobs else 1))
    assert "by what jobs took that were done" in one_line("a", steps)


def test_a_plan_takes_what_jobs_took_before_what_it_measures(campaign):
    cost = next(step.cost for step in forecast(campaign) if step.rule.name == "simulate_shard")
    benchmark = campaign.paths.root / "benchmarks/simulate/shard-00000.tsv"
    benchmark.parent.mkdir(parents=True)
    # On two ranks, each of which has half of the work.
    benchmark.write_text(f"s\tmax_rss\n{720 * cost.core_seconds / 2 + cost.start}\t100\n")
    note_done(campaign.paths.root, "simulate_shard", "shard-00000", benchmark, cost, 2, 0.0, 1)
    said = plan(campaign)
    assert "times the work and times the memory that are typical: simulate_shard 720 and 1 (of 1)." in said
    row = next(line.split() for line in said.splitlines() if line.startswith("simulate_shard"))
    expected = 3 * (720 * cost.core_seconds + 2 * cost.start) / 3600
    assert float(row[3]) == pytest.approx(expected, abs=0.006)
