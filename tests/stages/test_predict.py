import shutil

import numpy as np
import pytest
import yaml

from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.emulators.backends.choice import make_predictor
from mechscreen.emulators.metrics import r_squared, rmse
from mechscreen.errors import FileError, InputError
from mechscreen.models.outputs import Status
from mechscreen.stages.evaluate import KIND as EVALUATED
from mechscreen.stages.evaluate import evaluate
from mechscreen.stages.predict import KIND, load_campaign_ensemble, load_ensemble, predict_table
from mechscreen.stages.train import read_record

TABLE = "width,place,scale,second\n6,20,20,1\n9,40,1,0.5\n"
IN_ORDER = [[20, 6, 1, 20], [40, 9, 0.5, 1]]


@pytest.fixture
def ensemble_folder(trained):
    return trained().paths.emulators


def test_an_ensemble_emulates_its_model_in_physical_units(trained, ensemble_folder):
    campaign = trained()
    parameters = campaign.space.physical(np.random.default_rng(1).random((100, 4)), levels=True)
    truth = campaign.model_instance.simulate(parameters)
    solved = truth.status == Status.OK
    said = load_ensemble(ensemble_folder).predict(parameters[solved])
    expected = read_record(ensemble_folder / "member-0")["validation_rmse"]
    assert rmse(truth.profiles[solved], said.profiles).mean() < 1.5 * expected
    assert r_squared(truth.log_peaks[solved], said.log_peaks) > 0.9


def test_normalised_and_physical_values_give_the_same(ensemble_folder):
    ensemble = load_ensemble(ensemble_folder)
    normalised = ensemble.space.normalise(IN_ORDER)
    np.testing.assert_allclose(
        ensemble.predict(normalised, normalised=True).profiles, ensemble.predict(IN_ORDER).profiles, atol=1e-6
    )


def test_the_folder_alone_knows_parameters_and_outputs(trained, ensemble_folder):
    ensemble = load_ensemble(ensemble_folder)
    campaign = trained()
    assert ensemble.space.names == campaign.space.names
    np.testing.assert_array_equal(ensemble.space.high, campaign.space.high)
    assert ensemble.outputs[0].name == "signal"
    np.testing.assert_array_equal(ensemble.outputs[0].grid, np.arange(61.0))


def test_an_ensemble_in_a_copied_folder_predicts_the_same_from_anywhere(trained, tmp_path, monkeypatch):
    root = trained().paths.root
    shutil.copytree(root, tmp_path / "elsewhere/copied")
    monkeypatch.chdir("/")
    said, again = (
        load_ensemble(folder / "emulators/dense").predict(IN_ORDER) for folder in (root, tmp_path / "elsewhere/copied")
    )
    np.testing.assert_array_equal(said.profiles, again.profiles)


def test_parameters_outside_the_trained_ranges_are_told(ensemble_folder, caplog):
    ensemble = load_ensemble(ensemble_folder)
    ensemble.predict(IN_ORDER)
    assert "lie outside" not in caplog.text
    ensemble.predict([*IN_ORDER, [20, 6, 1, 20.5]])
    assert "1 of 3 parameter sets lie outside the ranges" in caplog.text


def test_a_table_is_predicted_to_a_file(ensemble_folder, tmp_path):
    (tmp_path / "sets.csv").write_text(TABLE)
    out = predict_table(ensemble_folder, tmp_path / "sets.csv", tmp_path / "predicted.h5")
    predict_table(ensemble_folder, tmp_path / "sets.csv", out)  # its own file may be replaced
    file = storage.read(out, KIND)
    said = load_ensemble(ensemble_folder).predict(IN_ORDER)
    np.testing.assert_array_equal(file["parameters"], IN_ORDER)
    np.testing.assert_array_equal(file["profiles"], said.profiles)
    np.testing.assert_array_equal(file["log_peaks"], said.log_peaks)
    np.testing.assert_array_equal(file["disagreement"], said.disagreement)
    assert file["grid"].shape == (1, 61)
    mean = predict_table(ensemble_folder, tmp_path / "sets.csv", tmp_path / "mean.h5", combine="mean")
    assert not np.array_equal(storage.read(mean, KIND)["profiles"], said.profiles)


def test_another_file_is_not_overwritten(ensemble_folder, tmp_path):
    (tmp_path / "sets.csv").write_text(TABLE)
    (tmp_path / "precious.h5").write_bytes(b"precious")
    with pytest.raises(InputError, match="choose another --out"):
        predict_table(ensemble_folder, tmp_path / "sets.csv", tmp_path / "precious.h5")
    assert (tmp_path / "precious.h5").read_bytes() == b"precious"


def test_a_folder_without_members_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no trained member"):
        load_ensemble(tmp_path)


def test_members_of_different_campaigns_are_no_ensemble(ensemble_folder):
    record = ensemble_folder / "member-1" / "member.json"
    ours = storage.read_json(record)
    storage.write_json(record, {**ours, "campaign": "0123456789ab", "identity": {**ours["identity"], "seed": 8}})
    with pytest.raises(InputError, match=r"member-1: trained by another campaign than member-0 \(seed = 8, this .* 7"):
        load_ensemble(ensemble_folder)


def test_a_member_that_was_copied_is_no_other_member(trained, ensemble_folder):
    for path in (ensemble_folder / "member-0").iterdir():
        shutil.copy(path, ensemble_folder / "member-1")
    for load in (lambda: load_ensemble(ensemble_folder), lambda: load_campaign_ensemble(trained())):
        with pytest.raises(FileError, match=r"member-1: holds member 0, .*moved or copied here"):
            load()


def test_a_member_that_is_not_trained_to_the_end_is_left_out_and_told(ensemble_folder, caplog):
    (ensemble_folder / "member-1" / "member.json").unlink()
    assert len(load_ensemble(ensemble_folder).ensemble.members) == 2
    with pytest.raises(InputError, match="of two members neither"):
        load_ensemble(ensemble_folder, combine="vote")
    assert "member-1: has no member.json, so it is not trained to the end; left out" in caplog.text


def test_a_campaigns_precision_backend_and_way_to_combine_reach_its_ensemble(trained, monkeypatch):
    asked = []

    def predictor(network, batch_size, precision, backend):
        asked.append((precision, backend))
        return make_predictor(network, batch_size, precision, backend)

    monkeypatch.setattr("mechscreen.emulators.ensemble.make_predictor", predictor)
    settings = {"precision": "bfloat16", "combine": "mean", "backend": "openvino"}
    ensemble = load_campaign_ensemble(trained(emulators=settings))
    assert asked == [("bfloat16", "openvino")] * 3
    assert ensemble.combine == "mean"


def test_an_ensemble_is_combined_as_it_was_evaluated_in_any_precision(trained, ensemble_folder, caplog, tmp_path):
    asked = trained(emulators={"precision": "bfloat16", "combine": "mean"})
    evaluate(asked)
    caplog.clear()
    loaded = load_ensemble(ensemble_folder)
    assert loaded.ensemble.combine == "mean"
    assert "evaluated" not in caplog.text
    file = storage.read(asked.paths.predictions, EVALUATED)
    np.testing.assert_array_equal(loaded.predict(file["parameters"]).profiles, file["predicted_profiles"])
    assert load_ensemble(ensemble_folder, combine="vote").ensemble.combine == "vote"
    (tmp_path / "sets.csv").write_text(TABLE)
    out = predict_table(ensemble_folder, tmp_path / "sets.csv", tmp_path / "predicted.h5")
    assert storage.read(out, KIND).attributes["combine"] == "mean"


@pytest.mark.parametrize(("members", "combine"), [(1, "vote"), (2, "mean"), (3, "vote")])
def test_an_ensemble_that_was_not_evaluated_is_combined_by_its_number_and_that_is_told(
    ensemble_folder, caplog, members, combine
):
    for number in range(members, 3):
        shutil.rmtree(ensemble_folder / f"member-{number}")
    assert load_ensemble(ensemble_folder).ensemble.combine == combine
    assert f"the ensemble was not evaluated yet; taking combine: {combine}, precision: float32" in caplog.text


def test_an_evaluation_of_other_members_does_not_count(trained, ensemble_folder, caplog):
    evaluate(trained(emulators={"combine": "mean"}))
    shutil.rmtree(ensemble_folder / "member-2")
    shutil.rmtree(ensemble_folder / "member-1")
    assert load_ensemble(ensemble_folder).ensemble.combine == "vote"
    assert "has other members than those that were evaluated (ensemble.json)" in caplog.text
    (ensemble_folder / "ensemble.json").write_text('{"combine": "median"}')
    with pytest.raises(FileError, match=r"ensemble\.json: does not hold what evaluate writes"):
        load_ensemble(ensemble_folder)


def test_a_campaign_on_the_networks_of_another_does_not_say_how_these_are_combined(trained, ensemble_folder):
    owner = trained()
    owner.record()
    evaluate(owner)
    before = (ensemble_folder / "ensemble.json").read_bytes()
    other = owner.model_copy(
        update={"name": "other", "base": "bumps", "emulators": owner.emulators.model_copy(update={"combine": "mean"})}
    )
    assert other.paths.emulators == owner.paths.emulators
    evaluate(Campaign.from_dict(yaml.safe_load(other.to_yaml())))
    assert (ensemble_folder / "ensemble.json").read_bytes() == before


def test_a_network_that_is_not_the_recorded_one_is_refused(ensemble_folder):
    shutil.copy(ensemble_folder / "member-0" / "model.keras", ensemble_folder / "member-1" / "model.keras")
    with pytest.raises(FileError, match=r"member-1/model.keras: is missing, or not what was trained"):
        load_ensemble(ensemble_folder)
