"""Simulations that people bring along."""

import csv

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechscreen.campaign import STAGES, Campaign
from mechscreen.errors import InputError
from mechscreen.labels import columns_of, table_names
from mechscreen.stages.imported import FIRST, read_imported, tell
from mechscreen.stages.merge import load_distance, load_split, merge, read_manifest
from mechscreen.stages.simulate import simulate, simulate_table

MODEL = '''
import numpy as np
from mechscreen import Model, Output, Parameter, ParameterSpace, Solution


class Mixed(Model):
    """A number, a series and a field; the number is called as a parameter is."""

    name = "mixed-of-the-import-tests"
    version = "1"
    isolated = False
    space = ParameterSpace(
        [
            Parameter("a", 0.5, 2.0, scale="log"),
            Parameter("n", 1, 4, integer=True),
            Parameter("kind", 0, 1, categories=("wild", "mutant")),
            Parameter("held", 3.0, 3.0),
        ]
    )
    outputs = (
        Output("a"),
        Output("my series.1", np.linspace(0, 1, 4), grid_name="time", grid_unit="h"),
        Output("field", (np.arange(2.0), np.arange(3.0)), scale="log"),
    )

    def solve(self, parameters, seeds):
        a, n, kind, held = parameters.T
        t = np.linspace(0, 1, 4)
        field = np.exp(np.arange(6.0).reshape(2, 3))[None] * a[:, None, None]
        series = a[:, None] * t ** n[:, None] + kind[:, None] + 0.1
        return Solution({"a": -a * held, "my series.1": series, "field": field})


def low(outputs):
    return (outputs["a"] < -3).astype(int)
'''


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "mixed.py"
    path.write_text(MODEL)
    return path


@pytest.fixture
def make(model_file, tmp_path):
    """Return a function that makes a campaign which imports some tables."""
    return lambda *tables, name="mixed": campaign_of(model_file, tmp_path / "results", tables, name)


def campaign_of(model_file, results, tables, name):
    objective = {"name": f"{model_file}:low", "options": {"classes": ["no", "yes"]}, "target": ["yes"]}
    return Campaign.from_dict(
        {
            "name": name,
            "results": str(results),
            "seed": 3,
            "model": {"name": f"{model_file}:Mixed"},
            "simulations": {"count": 40, "shard_size": 20, "imported": [str(table) for table in tables]},
            "screen": {"count": 10, "block_size": 10, "objective": objective},
        }
    )


def values_of(campaign, n, seed=1):
    """Return parameter sets of a campaign, and what its model says of them, by another road than its stages."""
    rng = np.random.default_rng(seed)
    parameters = np.column_stack(
        [np.exp(rng.uniform(np.log(0.5), np.log(2), n)), rng.integers(1, 5, n), rng.integers(0, 2, n), np.full(n, 3.0)]
    )
    return parameters, dict(campaign.model_instance.solve(parameters, None).profiles)


def write_csv(path, campaign, parameters, outputs, names=True):
    space = campaign.space
    labels = table_names(space, campaign.outputs)
    head = [*space.names]
    blocks = [
        [space["kind"].categories[int(v)] if j == 2 and names else v for j, v in enumerate(p)] for p in parameters
    ]
    for label, output in zip(labels, campaign.outputs, strict=True):
        head += columns_of(label, output.shape)
        blocks = [[*row, *np.ravel(values)] for row, values in zip(blocks, outputs[output.name], strict=True)]
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([head, *blocks])
    return path


def write_npz(path, campaign, parameters, outputs):
    names = np.array(campaign.space.names)
    np.savez(path, parameters=parameters, parameter_names=names, **outputs)
    return path


def write_hdf5(path, campaign, parameters, outputs):
    with h5py.File(path, "w") as file:
        file["parameters"] = parameters
        file["parameter_names"] = list(campaign.space.names)
        for name, values in outputs.items():
            file[name] = values
    return path


@pytest.mark.parametrize(("write", "suffix"), [(write_csv, "csv"), (write_npz, "npz"), (write_hdf5, "h5")])
def test_imported_rows_are_what_the_stages_make_of_the_same_parameter_sets(make, tmp_path, write, suffix):
    campaign = make()
    parameters, outputs = values_of(campaign, 30)
    table = write(tmp_path / f"runs.{suffix}", campaign, parameters, outputs)
    (found,) = read_imported(campaign, [table])
    simulated = campaign.model_instance.simulate(parameters)
    np.testing.assert_array_equal(found.parameters, parameters)
    np.testing.assert_array_equal(found.profiles, simulated.profiles.astype(np.float32))
    np.testing.assert_array_equal(found.log_peaks, simulated.log_peaks)


def test_what_mechscreen_simulated_of_a_table_can_be_imported(make, tmp_path):
    campaign = make()
    (tmp_path / "sets.csv").write_text("a,n,kind,held\n0.7,1,wild,3\n1.5,2,mutant,3\n")
    simulate_table(campaign.model.name, tmp_path / "sets.csv", tmp_path / "sets.h5")
    (found,) = read_imported(campaign, [tmp_path / "sets.h5"])
    direct = campaign.model_instance.simulate([[0.7, 1, 0, 3], [1.5, 2, 1, 3]])
    np.testing.assert_allclose(found.profiles, direct.profiles, rtol=1e-6)
    np.testing.assert_allclose(found.log_peaks, direct.log_peaks, rtol=1e-6, atol=1e-7)


def run(campaign):
    campaign.record()
    for shard in range(campaign.simulations.shards):
        simulate(campaign, shard)
    merge(campaign)


def test_they_are_training_samples_alone_and_change_nothing_of_the_rest(make, tmp_path):
    without = make(name="without")
    parameters, outputs = values_of(without, 30)
    table = write_csv(tmp_path / "runs.csv", without, parameters, outputs)
    other = write_npz(tmp_path / "more.npz", without, *values_of(without, 5, seed=9))
    campaign = make(table, other)
    run(without)
    run(campaign)
    before, after = load_split(without, "train"), load_split(campaign, "train")
    n = len(before)
    for name in ("index", "parameters", "profiles", "log_peaks"):
        np.testing.assert_array_equal(getattr(after, name)[:n], getattr(before, name))
    np.testing.assert_array_equal(after.index[n:], FIRST + np.arange(35))
    np.testing.assert_array_equal(after.parameters[n : n + 30], parameters)
    simulated = campaign.model_instance.simulate(parameters)
    np.testing.assert_array_equal(after.profiles[n : n + 30], simulated.profiles.astype(np.float32))
    for split in ("validation", "test"):
        np.testing.assert_array_equal(load_split(campaign, split).profiles, load_split(without, split).profiles)
    # The unit of errors is that of the random samples.
    np.testing.assert_array_equal(load_distance(campaign).deviations, load_distance(without).deviations)
    manifest = read_manifest(campaign)
    assert (manifest.simulations, manifest.imported, manifest.repeated) == (40, 35, 0)
    assert manifest.samples["train"] == n + 35


def test_what_the_campaign_simulates_itself_is_left_out_so_that_no_test_sample_is_learnt(make, tmp_path, caplog):
    without = make(name="without")
    run(without)
    test = load_split(without, "test")
    own = dict(without.model_instance.solve(test.parameters, None).profiles)
    parameters, outputs = values_of(without, 6)
    # With fewer digits, as tables have them.
    rounded = np.array([[float(f"{value:.8g}") for value in row] for row in test.parameters])
    both = np.concatenate([rounded, parameters])
    table = write_npz(
        tmp_path / "both.npz", without, both, {name: np.concatenate([own[name], outputs[name]]) for name in own}
    )
    campaign = make(table)
    with caplog.at_level("INFO"):
        run(campaign)
    manifest = read_manifest(campaign)
    assert len(test) > 0
    assert (manifest.imported, manifest.repeated) == (6, len(test))
    assert f"6 of the training samples are imported; {len(test)} more were left out" in caplog.text
    np.testing.assert_array_equal(load_split(campaign, "train").parameters[-6:], parameters)


def test_a_changed_table_remakes_the_training_set_and_what_follows_and_a_moved_one_nothing(make, tmp_path):
    without = make()
    table = write_csv(tmp_path / "runs.csv", without, *values_of(without, 5))
    before = {stage: make(table).fingerprint(stage) for stage in STAGES}
    assert before["simulations"] == without.fingerprint("simulations")
    assert before["dataset"] != without.fingerprint("dataset")
    moved = table.rename(tmp_path / "elsewhere.csv")
    assert {stage: make(moved).fingerprint(stage) for stage in STAGES} == before
    write_csv(moved, without, *values_of(without, 6))
    after = {stage: make(moved).fingerprint(stage) for stage in STAGES}
    assert [stage for stage in STAGES if before[stage] != after[stage]] == [s for s in STAGES if s != "simulations"]


def test_an_opened_folder_knows_its_tables_when_they_are_gone(make, tmp_path):
    table = write_csv(tmp_path / "runs.csv", make(), *values_of(make(), 5))
    campaign = make(table)
    run(campaign)
    table.unlink()
    opened = Campaign.open(campaign.paths.root)
    assert read_manifest(opened).imported == 5
    with pytest.raises(InputError, match=r"runs\.csv: cannot be read \(No such file or directory\)"):
        make(table)


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("a", "2.5", r"line 3: 'a' is 2.5, outside of 0.5 … 2"),
        ("a", "nan", r"line 3: 'a' is nan, outside of"),
        ("n", "2.5", r"line 3: 'n' is 2.5, which it does not take"),
        ("kind", "other", r"line 3, column 'kind': 'other' is not a finite number"),
        ("held", "4", r"line 3: 'held' is 4, outside of 3 … 3"),
        ("a_", "", r"line 3, column 'a_': is empty"),
        ("a_", "1_0", r"line 3, column 'a_': '1_0' is not a finite number"),
        ("a_", "inf", r"line 3: output 'a' is inf"),
        ("a_", "1e60", r"line 3: a value is too large for single precision"),
        ("my series.1[2]", "NaN", r"line 3: output 'my series.1' is nan at point 2"),
        ("field[1][0]", "-1", r"line 3: output 'field' is -1 at point 1, 0"),
    ],
)
def test_rows_that_are_no_simulations_are_refused_by_their_number(make, tmp_path, column, value, problem):
    campaign = make()
    table = write_csv(tmp_path / "runs.csv", campaign, *values_of(campaign, 5))
    rows = list(csv.reader(table.open()))
    rows[2][rows[0].index(column)] = value
    with table.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    with pytest.raises(InputError, match=problem) as caught:
        read_imported(campaign, [table])
    assert str(caught.value).startswith(str(table))
    assert "\n" not in str(caught.value)


def test_many_wrong_rows_are_one_message_and_rows_that_stand_there_twice_are_named(make, tmp_path):
    campaign = make()
    parameters, outputs = values_of(campaign, 20)
    parameters[:15, 0] = 7
    table = write_npz(tmp_path / "far.npz", campaign, parameters, outputs)
    with pytest.raises(InputError, match=r"15 of 20 rows cannot be taken: row 0: .*; row 9: .*; and 5 more$"):
        read_imported(campaign, [table])
    parameters, outputs = values_of(campaign, 3)
    first = write_csv(tmp_path / "first.csv", campaign, parameters, outputs)
    second = write_npz(tmp_path / "second.npz", campaign, parameters[1:], {k: v[1:] for k, v in outputs.items()})
    with pytest.raises(InputError, match=r"second\.npz: 2 of 2 rows .*: row 0: is line 3 of .*first\.csv once more"):
        read_imported(campaign, [first, second])
    with pytest.raises(InputError, match=r"3 of 3 rows .* once more"):
        read_imported(campaign, [first, first])


def test_a_table_with_tabs_and_decimal_commas_is_the_same_simulations(make, tmp_path, caplog):
    campaign = make()
    parameters, outputs = values_of(campaign, 5)
    table = write_csv(tmp_path / "runs.csv", campaign, parameters, outputs)
    other = tmp_path / "runs.tsv"
    other.write_bytes(table.read_text().replace(",", "\t").replace("series.1", "series,1").replace(".", ",")
                      .replace("series,1", "series.1").encode("utf-16"))  # fmt: skip
    (expected,) = read_imported(campaign, [table])
    with caplog.at_level("INFO"):
        (found,) = read_imported(campaign, [other])
    np.testing.assert_array_equal(found.parameters, expected.parameters)
    np.testing.assert_array_equal(found.profiles, expected.profiles)
    np.testing.assert_array_equal(found.log_peaks, expected.log_peaks)
    assert caplog.messages == [f"{other}: read as tab-separated, UTF-16, decimal commas"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda head: [*head[:-1], "held_"], r"line 1: no column 'held_' in this campaign"),
        (lambda head: [*head[:-1]], r"line 2: 15 values, but the header names 14 columns"),
        (lambda head: ["A", *head[1:]], r"no column 'A' in this campaign"),
        (lambda head: [head[1], *head[1:]], r"column 'n' stands there 2 times"),
        (lambda head: ["", *head[1:]], r"a column has no name"),
        (lambda head: ["sample", *head[1:]], r"line 1: lacks the column a$"),
    ],
)
def test_wrong_columns_are_refused(make, tmp_path, change, problem):
    campaign = make()
    table = write_csv(tmp_path / "runs.csv", campaign, *values_of(campaign, 5))
    head, *rows = csv.reader(table.open())
    with table.open("w", newline="") as stream:
        csv.writer(stream).writerows([change(head), *rows])
    with pytest.raises(InputError, match=problem):
        read_imported(campaign, [table])


def test_wrong_files_are_refused(make, tmp_path):
    campaign = make()
    parameters, outputs = values_of(campaign, 4)
    cases = {
        "empty.csv": (b"", "is empty; its first row names the columns: a, n, kind, held, a_, "),
        "text.npz": (b"PK no", "no NPZ file of plain arrays"),
        "text.h5": (b"no", "is no HDF5 file"),
        "a.xlsx": (b"no", r"simulations are read from .csv, .tsv, .tab, .txt, .dat, .npz, .h5, .hdf5"),
    }
    for name, (content, problem) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=problem):
            read_imported(campaign, [tmp_path / name])
    for name, changed, problem in [
        ("shape", {"field": outputs["field"][:, :1]}, r"'field' has shape \(4, 1, 3\); expected \(4, 2, 3\)"),
        ("text", {"a": np.array(["x"] * 4)}, "'a' holds no numbers"),
        ("more", {"b": np.zeros(4)}, "no array 'b' in this campaign"),
    ]:
        table = write_npz(tmp_path / f"{name}.npz", campaign, parameters, {**outputs, **changed})
        with pytest.raises(InputError, match=problem):
            read_imported(campaign, [table])
    np.savez(tmp_path / "objects.npz", parameters=np.array([{}], dtype=object))
    with pytest.raises(InputError, match="no NPZ file of plain arrays"):
        read_imported(campaign, [tmp_path / "objects.npz"])


@pytest.fixture(scope="module")
def unchanging(model_file, tmp_path_factory):
    return campaign_of(model_file, tmp_path_factory.mktemp("any"), [], "any")


@given(text=st.text(alphabet='a,n\n"\r.1_[]0 kind;\x00é', max_size=60))
def test_no_text_is_taken_or_ends_in_anything_but_a_message(unchanging, model_file, text):
    table = model_file.with_name("any.csv")
    table.write_text(text, newline="")
    with pytest.raises(InputError, match=r"any\.csv"):
        read_imported(unchanging, [table])


def test_the_verb_says_what_would_be_taken_and_what_to_write(make, tmp_path):
    campaign = make()
    table = write_csv(tmp_path / "runs.csv", campaign, *values_of(campaign, 5))
    told = tell(campaign, [table])
    assert told.splitlines()[0] == f"{table}: 5 simulations"
    assert f"imported: [{table}]" in told
    assert tell(make(table), []).splitlines()[-1] == "'mixed' imports it: the next run learns from them."
    with pytest.raises(InputError, match="'mixed' imports nothing"):
        tell(campaign, [])
