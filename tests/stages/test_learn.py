import json
import shutil

import numpy as np
import pytest

from mechscreen.emulators.metrics import rmse
from mechscreen.errors import FileError, InputError
from mechscreen.stages.learn import learn
from mechscreen.stages.merge import load_split
from mechscreen.stages.predict import load_ensemble
from mechscreen.stages.train import read_record, train

SIZES = (40, 320)


@pytest.fixture
def campaign(trained):
    """Return the trained campaign with a study of two sizes, one network each."""
    campaign = trained(learning={"sizes": SIZES, "members": 1})
    for size in SIZES:
        train(campaign, 0, samples=size)
    return campaign


def test_the_error_falls_with_the_number_of_samples(campaign):
    summary = json.loads(learn(campaign).read_text())
    few, many = summary["sizes"]
    assert (few["training_samples"], many["training_samples"]) == SIZES
    assert many["ensemble"]["rmse"] < 0.7 * few["ensemble"]["rmse"]
    assert summary["test_samples"] == len(load_split(campaign, "test"))
    assert campaign.paths.learning_figure.read_bytes().startswith(b"\x89PNG")


def test_the_errors_are_those_of_the_networks_on_the_test_split(campaign):
    row = json.loads(learn(campaign).read_text())["sizes"][0]
    test = load_split(campaign, "test")
    said = load_ensemble(campaign.paths.member(0, SIZES[0]).parent).predict(test.parameters)
    error = rmse(test.profiles, said.profiles)
    assert row["member_rmse"] == [pytest.approx(error.mean(), rel=1e-4)]
    assert row["wrong"] == pytest.approx(np.mean(error > 0.3))


def test_an_ensemble_of_two_is_neither_of_them_and_errs_less_than_they_do_on_average(trained):
    campaign = trained(learning={"sizes": SIZES[1:], "members": 2}, emulators={"combine": "mean"})
    for member in range(2):
        train(campaign, member, samples=SIZES[1])
    (row,) = json.loads(learn(campaign).read_text())["sizes"]
    assert row["ensemble"]["rmse"] < np.mean(row["member_rmse"])
    assert row["ensemble"]["rmse"] not in [pytest.approx(own, rel=1e-3) for own in row["member_rmse"]]


def test_the_networks_of_another_size_are_refused(campaign):
    few, many = (campaign.paths.member(0, size) for size in SIZES)
    for path in few.iterdir():
        shutil.copy(path, many)
    with pytest.raises(FileError, match=r"holds member 0, trained on 40 samples; it was moved or copied here"):
        learn(campaign)


def test_networks_learn_from_the_first_samples(campaign):
    few, many = (read_record(campaign.paths.member(0, size)) for size in SIZES)
    assert (few.training_samples, many.training_samples) == SIZES
    assert few.epochs == many.epochs == campaign.emulators.training.epochs


def test_a_size_beyond_the_training_split_is_refused(trained):
    with pytest.raises(InputError, match=r"learning.sizes: 5000 samples are more than the \d+ of the training split"):
        train(trained(learning={"sizes": [5000]}), 0, samples=5000)


def test_a_size_that_is_not_in_the_study_is_refused(trained):
    with pytest.raises(InputError, match=r"no size 50 in learning.sizes of 'bumps' \(there: 40, 320\)"):
        train(trained(learning={"sizes": SIZES}), 0, samples=50)


def test_a_campaign_without_the_study_is_refused(trained):
    with pytest.raises(InputError, match=r"'bumps' has no learning.sizes"):
        learn(trained())


def test_a_missing_network_is_named(trained):
    with pytest.raises(FileError, match=r"samples-40/member-0"):
        learn(trained(learning={"sizes": SIZES}))
