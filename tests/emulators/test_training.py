import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mechscreen.emulators.metrics import explained
from mechscreen.emulators.networks import build_network
from mechscreen.emulators.samples import Samples
from mechscreen.emulators.settings import AlignedSettings, DenseSettings, LSTMSettings, TrainingSettings
from mechscreen.emulators.training import Together, Training
from mechscreen.errors import InputError, ModelError
from mechscreen.models import Output, Outputs
from mechscreen.models.distances import Distance

POINTS = 31
NETWORKS = [
    DenseSettings(width=32, blocks=1),
    LSTMSettings(embedding=8, units=12, feedback=4),
    AlignedSettings(width=32, blocks=1, nodes=32),
]
SETTINGS = TrainingSettings(epochs=5, batch_size=32, learning_rate=5e-3)


def fronts(n, seed):
    """Return samples whose profiles are fronts: place and width of each are its first two parameters."""
    x = np.random.default_rng(seed).random((n, 3)).astype(np.float32)
    r = np.linspace(0, 1, POINTS, dtype=np.float32)
    y = 1 / (1 + np.exp((r - x[:, :1]) / (0.05 + 0.1 * x[:, 1:2])))
    y /= y.max(axis=1, keepdims=True)
    return Samples(x, y[:, None, :], 3 + x[:, 2:] * 2)


TRAIN, VALIDATION = fronts(300, 0), fronts(60, 1)


def training(network=NETWORKS[0], settings=SETTINGS, seed=7, samples=TRAIN):
    built = build_network(network, samples, seed=seed, precision=settings.precision)
    return Training(built, samples, VALIDATION, settings, seed)


def run(job):
    while not job.finished:
        assert job.run_epoch()
    return job


@functools.cache
def undisturbed(network=NETWORKS[0]):
    """Return a finished training, and its state after the second epoch."""
    job = training(network)
    job.run_epoch()
    job.run_epoch()
    state = job.state()
    return run(job), state


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.network.get_weights(), b.network.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("network", "loss"),
    [*zip(NETWORKS * 2, ["rmse", "mse", "rmse", "cross_entropy", "rmse", "mse"], strict=True)],
)
def test_training_learns_fronts(network, loss):
    settings = SETTINGS.model_copy(update={"epochs": 30, "loss": loss, "learning_rate": 1e-2})
    job = run(training(network, settings))
    first, last = job.history[0], job.history[-1]
    assert last["validation_rmse"] < 0.35 * first["validation_rmse"]
    assert last["validation_log_peak_rmse"] < 0.8 * VALIDATION.log_peaks.std()
    assert last["loss"] < first["loss"]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda s: s.network)
def test_training_in_mixed_precision_learns_as_well_and_can_be_continued(network):
    settings = SETTINGS.model_copy(update={"epochs": 12, "learning_rate": 1e-2, "precision": "mixed_bfloat16"})
    job = training(network, settings)
    job.run_epoch()
    state = job.state()
    run(job)
    exact = run(training(network, settings.model_copy(update={"precision": "float32"})))
    assert job.history[-1]["validation_rmse"] < 1.5 * exact.history[-1]["validation_rmse"]
    assert not same(job, exact)
    continued = training(network, settings)
    continued.restore(state)
    assert same(job, run(continued))


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    first, _ = undisturbed()
    assert same(first, run(training()))
    assert not same(first, run(training(seed=8)))


@pytest.mark.parametrize("network", NETWORKS, ids=lambda s: s.network)
def test_a_training_continued_from_its_state_ends_with_the_same_weights_and_history(network):
    expected, state = undisturbed(network)
    continued = training(network)
    continued.restore(state)
    assert continued.epoch == 2
    run(continued)
    assert same(expected, continued)
    assert set(expected.state()) == set(continued.state())
    assert all(
        np.array_equal(values, continued.state()[name])
        for name, values in expected.state().items()
        if name != "history"
    )
    seconds = {"seconds": 0.0}
    assert [{**a, **seconds} for a in expected.history] == [{**b, **seconds} for b in continued.history]


def test_an_epoch_that_is_broken_off_leaves_no_trace():
    expected, state = undisturbed()
    job = training()
    job.restore(state)
    asked = []

    def stop():
        asked.append(1)
        return len(asked) == 4

    assert not job.run_epoch(stop)
    assert len(asked) == 4
    assert job.epoch == 2
    assert same(expected, run(job))


def worse_and_worse(settings):
    """Return a training that starts at the truth of its validation set and can only leave it."""
    job = training(settings=settings)
    truth = job.network.predict_on_batch(VALIDATION.parameters)
    job.validation = Samples(VALIDATION.parameters, truth["profiles"], truth["log_peaks"])
    return job


def test_the_best_weights_are_kept():
    job = worse_and_worse(SETTINGS)
    job.run_epoch()
    best = job.network.get_weights()
    run(job)
    assert job.best_epoch == 1 + np.argmin([row["validation_rmse"] for row in job.history]) == 1
    assert not np.array_equal(job.network.get_weights()[0], best[0])
    job.use_best_weights()
    assert all(np.array_equal(a, b) for a, b in zip(job.network.get_weights(), best, strict=True))


def test_the_best_weights_may_be_those_of_an_epoch_in_the_middle():
    _, state = undisturbed()
    second = training()
    second.restore(state)
    truth = second.network.predict_on_batch(VALIDATION.parameters)
    job = training()
    job.validation = Samples(VALIDATION.parameters, truth["profiles"], truth["log_peaks"])
    run(job)
    assert (job.best_epoch, job.epoch) == (2, SETTINGS.epochs)
    job.use_best_weights()
    assert same(job, second)


def test_training_stops_when_patience_is_used_up():
    job = run(worse_and_worse(SETTINGS.model_copy(update={"epochs": 50, "patience": 3})))
    assert (job.best_epoch, job.epoch) == (1, 4)


def test_the_cosine_schedule_warms_up_and_ends_at_zero():
    job = run(training(settings=SETTINGS.model_copy(update={"epochs": 20})))
    rates = [row["learning_rate"] for row in job.history]
    assert max(rates) == rates[0] > 0.98 * SETTINGS.learning_rate
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 1e-6 * SETTINGS.learning_rate


def test_fewer_samples_than_a_batch_are_one_batch():
    job = training(samples=fronts(5, 3))
    before = job.network.get_weights()
    run(job)
    assert not all(np.array_equal(a, b) for a, b in zip(before, job.network.get_weights(), strict=True))


def test_a_training_of_a_single_step_learns():
    job = training(samples=fronts(5, 3), settings=SETTINGS.model_copy(update={"epochs": 1}))
    before = job.network.get_weights()
    run(job)
    change = [np.abs(a - b).max() for a, b in zip(before, job.network.get_weights(), strict=True)]
    assert max(change) > 0.5 * SETTINGS.learning_rate


def test_the_state_of_another_network_is_refused_and_changes_nothing():
    job, other = training(), training(DenseSettings(width=16, blocks=1))
    before = job.network.get_weights()
    for state in (other.state(), dict(list(job.state().items())[1:])):
        with pytest.raises(ModelError, match="of another network or optimiser"):
            job.restore(state)
    assert all(np.array_equal(a, b) for a, b in zip(before, job.network.get_weights(), strict=True))


def test_no_samples_are_refused():
    with pytest.raises(InputError, match="0 training and 60 validation samples"):
        Training(build_network(NETWORKS[0], TRAIN), fronts(0, 0), VALIDATION, SETTINGS, seed=0)


def test_a_loss_that_is_not_finite_ends_the_training():
    samples = Samples(TRAIN.parameters, TRAIN.profiles, TRAIN.log_peaks * np.float32(1e30))
    with pytest.raises(ModelError, match=r"epoch 1: the loss is .*lower emulators.training.learning_rate"):
        training(samples=samples).run_epoch()


def test_weights_that_the_last_step_spoils_end_the_training():
    job = training()
    spoilt = {"profiles": np.full_like(VALIDATION.profiles, np.nan), "log_peaks": VALIDATION.log_peaks}
    job._predictor = lambda parameters: spoilt
    with pytest.raises(ModelError, match="epoch 1: the validation rmse is nan; lower"):
        job.run_epoch()
    assert job.epoch == 0


KILLED = """
import sys
from pathlib import Path
import numpy as np
sys.path.insert(0, sys.argv[2])
from test_training import training

folder, job = Path(sys.argv[1]), training()
if (folder / "state.npz").exists():
    with np.load(folder / "state.npz", allow_pickle=False) as state:
        job.restore(dict(state))
(folder / "continued").write_text(str(job.epoch))
while not job.finished:
    job.run_epoch()
    np.savez(folder / "new.npz", **job.state())
    (folder / "new.npz").replace(folder / "state.npz")
    if sys.argv[3] == "wait" and job.epoch == 2:
        (folder / "waiting").touch()
        import time
        time.sleep(600)
"""


@pytest.mark.slow
def test_a_killed_process_is_continued_by_another_to_the_same_weights(tmp_path):
    (tmp_path / "killed.py").write_text(KILLED)

    def start(how):
        command = [sys.executable, str(tmp_path / "killed.py"), str(tmp_path), str(Path(__file__).parent), how]
        return subprocess.Popen(command)

    first = start("wait")
    while not (tmp_path / "waiting").exists():
        assert first.poll() is None
        time.sleep(0.1)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert start("go").wait() == 0
    assert (tmp_path / "continued").read_text() == "2"
    continued = training()
    with np.load(tmp_path / "state.npz", allow_pickle=False) as state:
        continued.restore(dict(state))
    assert continued.epoch == SETTINGS.epochs
    assert same(undisturbed()[0], continued)


def test_of_a_number_by_its_peak_the_epoch_kept_is_the_one_that_knows_the_peak_best():
    """Its profile is one whatever the parameters, so that the peak is all there is to learn."""
    rng = np.random.default_rng(0)
    x = rng.random((400, 1)).astype(np.float32)
    distance = Distance.of([Output("y", np.array([0.0]))])
    samples = Samples(x, np.ones((400, 1, 1), np.float32), np.log(1 + 9 * x), distance)
    train, validation = samples.take(np.arange(300)), samples.take(np.arange(300, 400))
    network = build_network(DenseSettings(width=32, blocks=1), train, seed=1)
    job = Training(network, train, validation, TrainingSettings(epochs=25, batch_size=32), seed=1)
    while not job.finished:
        job.run_epoch()
    peaks = [row["validation_log_peak_rmse"] for row in job.history]
    assert peaks[job.best_epoch - 1] <= 1.1 * min(peaks)
    assert job.best_epoch > 10
    # And the error told is that of the values, relative to the larger one.
    job.use_best_weights()
    said = network.predict(validation.parameters, verbose=0)
    np.testing.assert_array_equal(said["profiles"], 1)
    y, again = np.exp(validation.log_peaks), np.exp(said["log_peaks"])
    error = (np.abs(y - again) / np.maximum(y, again)).mean()
    assert job.history[job.best_epoch - 1]["validation_rmse"] == pytest.approx(error, rel=1e-3)


def test_signed_and_logarithmic_outputs_are_learnt_beside_profiles():
    rng = np.random.default_rng(1)
    x = rng.random((600, 2)).astype(np.float32)
    signed, decades = Output("v", np.arange(5.0), scale="linear"), Output("k", scale="log")
    outputs = Outputs((signed, decades, Output("p", np.arange(8.0))))
    wave = 20 * np.sin(3 * x[:, :1] + np.arange(5.0)) - 40
    bump = np.exp(-((np.arange(8.0) - 7 * x[:, 1:]) ** 2) / 8) * (1 + x[:, :1])
    raw = outputs.join({"v": wave, "k": np.exp(6 * x[:, 0] - 3), "p": bump}, 600)
    profiles, log_peaks, status, _ = outputs.scaled(raw)
    assert not status.any()
    distance = Distance.of(outputs, outputs.deviations(outputs.scatter(profiles)))
    samples = Samples(x, profiles.astype(np.float32), log_peaks.astype(np.float32), distance)
    train, validation = samples.take(np.arange(500)), samples.take(np.arange(500, 600))
    network = build_network(DenseSettings(width=64, blocks=1), train, seed=2)
    settings = TrainingSettings(epochs=30, batch_size=32, learning_rate=0.01)
    job = Training(network, train, validation, settings, seed=2)
    while not job.finished:
        job.run_epoch()
    job.use_best_weights()
    said = network.predict(validation.parameters, verbose=0)
    np.testing.assert_array_equal(said["log_peaks"][:, :2], 0)
    found = explained(validation.profiles, said["profiles"], validation.log_peaks, said["log_peaks"], distance)
    assert (found > 0.97).all(), found


def test_cross_entropy_is_refused_for_what_is_not_between_zero_and_one():
    distance = Distance.of([Output("v", np.arange(5.0), scale="linear")])
    samples = Samples(*(np.zeros((9, *shape), np.float32) for shape in ((2,), (1, 5), (1,))), distance)
    network = build_network(DenseSettings(width=8, blocks=1), samples)
    with pytest.raises(InputError, match=r"emulators\.training\.loss: cross_entropy compares profiles"):
        Training(network, samples, samples, TrainingSettings(loss="cross_entropy"), seed=0)


def test_a_number_that_many_samples_do_not_have_is_learnt_from_those_that_have_it():
    outputs = Outputs([Output("it", given="has it"), Output("has it")])

    def samples(n, seed):
        x = np.random.default_rng(seed).random((n, 2)).astype(np.float32)
        it = np.where(x[:, 0] > 0.6, 100 + 20 * x[:, 1], np.nan)
        raw = np.stack([it, np.isfinite(it)], axis=1)[:, :, None]
        profiles, log_peaks, _, _ = outputs.scaled(raw)
        return Samples(
            x,
            profiles.astype(np.float32),
            log_peaks.astype(np.float32),
            Distance.of(outputs, outputs.deviations(outputs.scatter(profiles))),
        )

    train, test = samples(600, 0), samples(300, 1)
    settings = TrainingSettings(epochs=40, batch_size=32, learning_rate=5e-3)
    network = build_network(NETWORKS[0], train, seed=1)
    run(Training(network, train, samples(60, 2), settings, 1))
    said = network.predict(test.parameters, verbose=0)
    found = outputs.by_name(said["profiles"], said["log_peaks"])["it"]
    truth = outputs.by_name(test.profiles, test.log_peaks)["it"]
    assert np.mean(np.isnan(found) == np.isnan(truth)) > 0.95
    both = np.isfinite(found) & np.isfinite(truth)
    # Had the others been learnt as 0, nothing near the edge would be right.
    assert np.abs(found - truth)[both].max() < 5
    r2 = explained(test.profiles, said["profiles"], test.log_peaks, said["log_peaks"], test.distance)
    assert r2[0] > 0.9
    expected = 1 - np.square(found - truth)[both].sum() / np.square(truth[both] - truth[both].mean()).sum()
    assert r2[0] == pytest.approx(expected, rel=1e-3)


@pytest.mark.long
def test_training_as_one_program_by_jax(on_jax):
    pytest.importorskip("jax")
    here = Path(__file__).parent
    path = os.pathsep.join([str(here), *sys.path])
    on_jax("-m", "pytest", "-q", "-p", "no:cacheprovider", here / "training_by_jax.py", PYTHONPATH=path)


def test_members_are_not_trained_together_by_tensorflow_and_the_message_says_what_to_do():
    with pytest.raises(InputError, match="Keras runs on tensorflow here; set KERAS_BACKEND=jax, or train them one by"):
        Together([training()])
