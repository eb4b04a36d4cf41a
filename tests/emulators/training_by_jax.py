"""Tests of training as one program of JAX, run by test_training.py in a process in which Keras runs on it."""

import numpy as np
import pytest
from test_training import NETWORKS, SETTINGS, TRAIN, VALIDATION, run, same, training

from mechscreen.emulators import epochs
from mechscreen.emulators.networks import build_network
from mechscreen.emulators.quiet_keras import keras
from mechscreen.emulators.training import Together, Training

networks = pytest.mark.parametrize("network", NETWORKS, ids=lambda s: s.network)


def furthest(a, b):
    weights = zip(a.network.get_weights(), b.network.get_weights(), strict=True)
    return max(np.abs(x - y).max() for x, y in weights)


@pytest.fixture(autouse=True)
def few_steps_at_once(monkeypatch):
    monkeypatch.setattr(epochs, "STEPS_AT_ONCE", 4)


def test_keras_runs_on_jax():
    assert keras.backend.backend() == "jax"


@networks
def test_steps_of_the_program_are_those_that_keras_takes(network):
    job, by_keras = training(network), training(network)
    for _ in range(2):
        assert job.run_epoch()
        by_keras._end_epoch(by_keras._by_keras(by_keras._order(), lambda: False), 0.0)
    assert furthest(job, by_keras) < 2e-6
    for row, expected in zip(job.history, by_keras.history, strict=True):
        for name in ("loss", "validation_rmse", "learning_rate"):
            assert row[name] == pytest.approx(expected[name], rel=1e-5)


def test_samples_that_do_not_fit_beside_the_program_are_brought_as_it_goes():
    job, brought = training(), training()
    brought._alone = Together([brought])
    brought._alone._device = epochs.OnDevice(brought._fit, brought.samples, resident=False)
    for each in (job, brought):
        each.run_epoch()
    assert same(job, brought)


@networks
def test_members_that_are_trained_together_end_as_they_do_alone(network):
    alone = [run(training(network, seed=seed)) for seed in (7, 8, 9)]
    together = Together([training(network, seed=seed) for seed in (7, 8, 9)])
    while not together.finished:
        assert together.run_epoch()
    for one, other in zip(alone, together.trainings, strict=True):
        assert furthest(one, other) < 1e-5
        assert one.best_epoch == other.best_epoch
    assert furthest(alone[0], alone[1]) > 0.01


def test_a_training_that_is_broken_off_and_continued_ends_with_the_same_weights():
    undisturbed = run(training())
    job, asked = training(), iter([False, True])
    job.run_epoch()
    assert not job.run_epoch(lambda: next(asked))
    assert job.epoch == 1
    other = training()
    other.restore(job.state())
    assert same(run(other), undisturbed)


def test_members_that_have_come_less_far_are_trained_first_and_the_finished_ones_wait():
    settings = SETTINGS.model_copy(update={"epochs": 12, "patience": 1, "learning_rate": 0.1, "schedule": "constant"})

    def make(seed):
        return training(settings=settings, seed=seed)

    alone = [run(make(seed)) for seed in (1, 2, 3)]
    assert len({job.epoch for job in alone}) > 1, "some must end before others for this test to mean anything"
    ahead = make(1)
    ahead.run_epoch()
    together = Together([ahead, make(2), make(3)])
    together.run_epoch()
    assert [job.epoch for job in together.trainings] == [1, 1, 1]
    while not together.finished:
        together.run_epoch()
    for one, other in zip(alone, together.trainings, strict=True):
        assert one.epoch == other.epoch
        # Rounding grows at such a rate.
        assert furthest(one, other) < 0.02


def test_mixed_precision_learns_as_well():
    settings = SETTINGS.model_copy(update={"precision": "mixed_bfloat16"})
    in_float32, mixed = run(training()), run(training(settings=settings))
    assert mixed.history[-1]["validation_rmse"] < 1.3 * in_float32.history[-1]["validation_rmse"]


def test_a_network_whose_layers_add_to_the_loss_keeps_what_they_add():
    def make(weight):
        built = build_network(NETWORKS[0], TRAIN, seed=1)
        built.get_layer("embedding_sum").kernel.regularizer = keras.regularizers.L2(weight)
        return Training(built, TRAIN, VALIDATION, SETTINGS, 1)

    losses = []
    for weight in (0.0, 1.0):
        job = make(weight)
        job.run_epoch()
        losses.append(job.history[0]["loss"])
    assert losses[1] > losses[0] + 1
