"""Discovery studies: what is valid, what jobs there are, what a wrong key says."""

from pathlib import Path

import pytest
import yaml

from discovery_study.study import Study, TableSection, method_name
from mechscreen import InputError
from mechscreen.discovery.pipeline import METHODS

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "benchmarks/discovery_study/study.yaml"
SMALL = {
    "name": "small",
    "seeds": 5,
    "seeds_per_job": 2,
    "methods": ["collocation", "peers.py:mean"],
    "method_seeds": {"peers.py:mean": 1},
    "tables": {
        "paper": {"rows": [{"case": "cycle", "step": 0.5}, {"case": "cycle", "noise": 0.1, "keep": 0.5}]},
        "dysts": {"systems": ["Lorenz", "SprottA"], "seeds": 1, "methods": ["collocation"]},
    },
}


def test_the_shipped_study_covers_the_papers_tables_and_all_systems():
    study = Study.load(SHIPPED)
    assert len(study.rows("dysts")) == 70
    assert {"over-damped", "spiral", "cycle", "cycle-noise-0.1", "cycle-step-0.5", "lorenz"} <= set(study.rows("paper"))
    assert study.seeds == 100


def test_parts_cover_all_seeds_of_all_rows_once():
    study = Study.from_dict(SMALL)
    parts = [part for table in study.tables for part in study.parts(table)]
    names = [part.name for part in parts]
    assert len(set(names)) == len(names) == 2 * (3 + 1) + 2
    assert sum(part.count for part in parts if part.table == "paper" and part.method == "collocation") == 10
    assert "paper/cycle-noise-0.1-keep-0.5/peers-mean/seeds-00000" in names
    assert study.part("paper/cycle-step-0.5/collocation/seeds-00004").count == 1
    assert study.salts == ("synthetic",)


def test_a_method_of_a_file_is_named_by_file_and_function():
    assert method_name("benchmarks/peers.py:weak") == "peers-weak"
    assert method_name("collocation") == "collocation"


def test_the_resolved_configuration_is_the_same_study():
    study = Study.from_dict(SMALL)
    assert Study.from_dict(yaml.safe_load(study.to_yaml())) == study


def test_every_key_is_explained_in_the_docs():
    text = (ROOT / "docs/reference/discovery-study.md").read_text()
    keys = [*Study.model_fields, *(f"tables.*.{key}" for key in TableSection.model_fields)]
    assert not [key for key in keys if f"`{key}`" not in text]
    explained = (ROOT / "docs/explanation/discovery.md").read_text()
    first, *others = METHODS
    own = f"{', '.join(f'`{name}`' for name in METHODS)}, or `path/to/file.py:function`"
    assert f"| `methods` | `[{first}]` | {own} |" in text
    assert Study.model_fields["methods"].description == own.replace("`", "") + "."
    assert not [name for name in others if f'`method="{name}"`' not in explained]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"seed": 3}, "unknown key 'seed'; did you mean 'seeds'"),
        ({"methods": ["collocatoin"]}, "no method 'collocatoin'; did you mean 'collocation'"),
        ({"tables": {"a": {"rows": [{"case": "cycel"}]}}}, "no case 'cycel'; did you mean 'cycle'"),
        ({"tables": {"a": {"rows": [{"case": "cycle", "stap": 1}]}}}, "unknown key 'tables.a.rows.0.stap'"),
        ({"tables": {"a": {"systems": ["Lorentz"]}}}, "no dysts system 'Lorentz'; did you mean 'Lorenz'"),
        ({"tables": {"actin": {"systems": ["Lorenz"]}}}, "a table cannot be called 'actin'"),
        ({"tables": {"a": {}}}, "'tables.a': give one of rows, systems and suite"),
        ({"tables": {"a": {"suite": "odebenhc"}}}, "no suite 'odebenhc'; did you mean 'odebench'"),
        ({"tables": {"a": {"suite": "truths", "select": ["insied"]}}}, "suite 'truths' has no row 'insied'"),
        ({"tables": {"a": {"suite": "truths", "methods": ["truth"]}}}, "no method 'truth'"),
        ({"tables": {"reliability": {"suite": "truths"}}}, "a table cannot be called 'reliability'"),
        ({"seeds": 0}, "'seeds' is 0"),
        ({"name": "../x"}, "'name' is '../x'"),
    ],
)
def test_what_is_wrong_is_said_with_path_and_nearest_name(change, expected):
    with pytest.raises(InputError) as caught:
        Study.from_dict(SMALL | change, source="study.yaml")
    assert expected in str(caught.value)
    assert str(caught.value).startswith("study.yaml: ")


@pytest.mark.parametrize("name", ["study.yaml", "quick.yaml"])
def test_a_suite_has_parts_for_its_rows_and_seeds_and_none_without_its_file(name, tmp_path):
    study = Study.load(SHIPPED.with_name(name))
    assert {"odebench", "truths", "rational", "slow", "documented", "mdbench", "odr-bindy", "argos"} <= set(
        study.tables
    )
    assert "reliability" in study.table_names
    truths = list(study.parts("truths"))
    assert {part.row for part in truths} == {"inside", "outside", "faults"}
    assert sum(part.count for part in truths) == 3 * study.tables["truths"].seeds
    alone = study.model_copy(update={"odebench": str(tmp_path / "none.json")})
    assert alone.is_left_out("odebench")
    assert not list(alone.parts("odebench"))
    assert not alone.is_left_out("truths")


def test_a_part_that_is_not_there_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'dysts/Lorenz/collocation/seeds-00000'"):
        Study.from_dict(SMALL).part("dysts/Lorenz/collocation/seeds-00010")
