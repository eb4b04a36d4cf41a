import pytest

from mechscreen.campaign import Campaign
from mechscreen.runs.advice import advise, compare
from mechscreen.stages.table import START_SECONDS, Speeds


def campaign(folder, **changes):
    values = {
        "name": "advised",
        "results": str(folder),
        "seed": 1,
        "simulations": {"count": 10_000, "shard_size": 10_000},
        "emulators": {"members": 2, "combine": "mean", "training": {"epochs": 100}},
        "screen": {"count": 1_000_000, "block_size": 1_000_000},
        "validation": {"limit": 1},
    }
    return Campaign.from_dict(values | changes)


def speeds(sample):
    return Speeds(sample, training=1e-4, prediction=1e-5, gpu_step=1.0, looking=0.0, network_start=0.0)


def test_either_way_takes_what_its_simulations_networks_and_sets_take(tmp_path):
    found = compare(campaign(tmp_path), speeds(0.1))
    assert found.direct == pytest.approx(1e6 * 0.1, rel=3e-3)
    # 10,000 simulations, 8,000 samples in 100 epochs of two networks, a million predictions by both and the indices'.
    evaluation = (1000 + 15 * 8192) * 2 * 1e-5
    assert found.emulated == pytest.approx(1e4 * 0.1 + 2 * 8000 * 100 * 1e-4 + 2 * 1e6 * 1e-5 + evaluation, rel=0.03)
    assert found.emulators_pay
    assert found.factor == pytest.approx(found.direct / found.emulated)


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        (0.1, r"emulators pay, 8"),
        (1e-6, r"emulators do not pay; screen.by: model is "),
        (2.1e-4, "the two are alike"),
    ],
)
def test_a_line_says_which_wins_and_by_how_much(tmp_path, sample, said):
    line = advise(campaign(tmp_path), speeds(sample))
    assert "\n" not in line
    assert said in line


def test_without_simulations_it_says_how_few_would_have_to_be_enough(tmp_path):
    direct = campaign(tmp_path, simulations={}, screen={"by": "model", "count": 1_000_000, "block_size": 1_000_000})
    line = advise(direct, speeds(0.1))
    enough = int(line.partition("fewer than ")[2].split()[0].replace(",", ""))
    # Over what a simulation, its part of the training, and its part of the start of two ranks for a thousand take.
    each = 0.1 + 4 * 0.8 * 50 * 1e-4 + 2 * START_SECONDS / 1000
    assert enough == pytest.approx(1e5 / each, rel=0.05)
    assert compare(direct, speeds(0.1), int(0.9 * enough)).emulators_pay
    assert not compare(direct, speeds(0.1), int(1.1 * enough)).emulators_pay
    assert "emulators do not pay, whatever they learn from" in advise(direct, speeds(1e-6))


def test_the_advice_is_the_same_of_a_campaign_written_for_either_way(tmp_path):
    emulated = campaign(tmp_path)
    direct = campaign(tmp_path, screen={"by": "model", "count": 1_000_000, "block_size": 1_000_000})
    assert compare(emulated, speeds(0.1)) == compare(direct, speeds(0.1))
