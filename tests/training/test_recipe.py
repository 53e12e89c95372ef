from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dvmsr import ArgumentError, NetworkConfig
from dvmsr.training import DataSettings, MonitorSettings, TrainingConfig, make_config, read_recipe
from dvmsr.training.recipe import differences, make_paths_absolute, merge, parse_overrides, to_table, to_toml

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))


def test_configuration_survives_its_own_text(tmp_path):
    config = TrainingConfig(
        network=NetworkConfig(channels=48, vimm_residual=True),
        data=DataSettings(hr=('folder "a"', "ü"), scale_augmentation=(0.5,)),
    )
    (tmp_path / "config.toml").write_text(to_toml(config), encoding="utf-8")
    assert make_config(read_recipe(tmp_path / "config.toml")) == config


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipes_are_valid(recipe):
    given = {"data": {"hr": ["photographs"]}, "teacher": {"weights": ["teacher.safetensors"]}}
    make_config(merge(read_recipe(recipe), given))


def test_there_are_recipes():
    assert len(RECIPES) >= 4


def test_overrides_go_before_the_recipe():
    overrides = parse_overrides(["run.steps=7", "loss.distance=l2", "optimizer.betas=[0.8, 0.9]"])
    config = make_config(merge({"run": {"steps": 5, "batch": 3}}, overrides))
    assert (config.run.steps, config.run.batch, config.loss.distance) == (7, 3, "l2")
    assert config.optimizer.betas == (0.8, 0.9)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("run.stepz=3", "unknown key run.stepz"),
        ("ran.steps=3", "unknown section ran"),
        ("run.steps=0", "run.steps must be from 1, got 0"),
        ("run.steps=2.5", "run.steps must be a whole number, got 2.5"),
        ("run.steps=true", "run.steps must be a whole number, got True"),
        ("run.precision=fp8", "run.precision must be one of fp32, bf16-mixed, got 'fp8'"),
        ("optimizer.learning_rate=fast", "optimizer.learning_rate must be a number, got 'fast'"),
        ("optimizer.learning_rate=inf", "optimizer.learning_rate must be a number, got inf"),
        ("optimizer.betas=[0.9]", "optimizer.betas must be two numbers"),
        ("data.hr=folder", "data.hr must be a list, each of it a text, got 'folder'"),
        ("data.scale_augmentation=[1.5]", "data.scale_augmentation must be from 0.01 and below 1, got 1.5"),
        (
            "data.scale_augmentation=[1e-300]",
            "data.scale_augmentation must be from 0.01 and below 1, got 1e-300",
        ),
        (f"run.seed={2**64}", f"run.seed must be up to {2**63 - 1}, got a larger number"),
        (f"run.batch={10**30}", f"run.batch must be up to {2**63 - 1}, got a larger number"),
        (f"loss.lambda_hr={10**400}", f"loss.lambda_hr must be up to {2**63 - 1}, got a larger number"),
        pytest.param(
            f"run.steps={10**4000}0" + "0" * 999,
            "run.steps: nested too deeply, or a number",
            id="5,000 digits",
        ),
        pytest.param("run.steps=" + "[" * 3000 + "]" * 3000, "run.steps: nested too deeply", id="nested"),
        ("machine.threads=100000", "machine.threads must be up to 1024, got 100000"),
        ("machine.devices=1000000000", "machine.devices must be up to 1024, got 1000000000"),
        (
            "network.blocks=1000000000",
            "network.blocks must be a whole number up to 1048576, got a larger one",
        ),
        ("network.blocks=1000000", "network.blocks must hold up to 10000 ViMMs together, got 1000000 of 2"),
        ("data.lr=['a']", "data.lr must name as many folders as hr"),
        ("teacher.teacher_only=4", "teacher.teacher_only needs a teacher"),
        ("network.scale=5", "network.scale must be one of 2, 3, 4, got 5"),
        ("loss.lambda_hr=0", "loss.lambda_hr is 0 and there is no teacher"),
        ("monitor.keep_checkpoints=1", "monitor.keep_checkpoints must be from 2, got 1"),
        ("steps=3", "expected section.key=value"),
        ("run.steps", "expected section.key=value"),
    ],
)
def test_what_is_wrong_is_named(override, named):
    with pytest.raises(ArgumentError) as raised:
        make_config(parse_overrides([override]))
    assert str(raised.value).startswith(named)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "named"),
    [("steps = 3", "got steps outside"), ("[run", "not a TOML file"), (None, "cannot read")],
)
def test_recipe_that_is_none(tmp_path, text, named):
    path = tmp_path / "recipe.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ArgumentError, match=named):
        read_recipe(path)


def test_paths_are_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = {
        "data": {"hr": ["a", "/b"], "lr": ["c"], "patch": 9},
        "teacher": {"weights": ["d"]},
        "run": {"initial_weights": "e"},
        "monitor": {"validation": ("f",)},
        "machine": {"cache": ""},
    }
    here = str(tmp_path)
    assert make_paths_absolute(table) == {
        "data": {"hr": [f"{here}/a", "/b"], "lr": [f"{here}/c"], "patch": 9},
        "teacher": {"weights": [f"{here}/d"]},
        "run": {"initial_weights": f"{here}/e"},
        "monitor": {"validation": [f"{here}/f"]},
        "machine": {"cache": ""},
    }
    # What is of a wrong type is for make_config to refuse.
    assert make_paths_absolute({"data": {"hr": [3]}, "run": {"initial_weights": 4}}) == {
        "data": {"hr": [3]},
        "run": {"initial_weights": 4},
    }


def test_differences_name_the_keys_that_matter():
    before = TrainingConfig()
    after = make_config(merge(to_table(before), parse_overrides(["run.batch=9", "data.patch=7"])))
    assert differences(before, after) == ["data.patch is 7, was 32", "run.batch is 9, was 8"]


def test_what_changes_no_weights_may_differ():
    before = TrainingConfig()
    after = replace(before, monitor=MonitorSettings(log_every=1), data=DataSettings(hr=("elsewhere",)))
    assert differences(before, after) == []


def test_lists_from_python_are_taken():
    data = DataSettings(hr=["here", "there"], scale_augmentation=[0.5])  # type: ignore[arg-type]
    assert data == DataSettings(hr=("here", "there"), scale_augmentation=(0.5,))
    with pytest.raises(ArgumentError, match=r"^hr must be a list, each of it a text, got 'here'$"):
        DataSettings(hr="here")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[run]\nsteps = " + "[" * 3000 + "]" * 3000, "nested too deeply"),
        ("[run]\nsteps = " + "1" * 5000, "not a TOML file: Exceeds the limit"),
        ("[run", "not a TOML file: "),
        ("[run]\nsteps = \x00", "not a TOML file: "),
    ],
    ids=["nested", "5,000 digits", "cut", "NUL"],
)
def test_recipes_that_cannot_be_read_are_one_line(tmp_path, text, told):
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(ArgumentError) as raised:
        read_recipe(path)
    assert str(raised.value).startswith(f"{path}: {told}")
    assert str(raised.value).isprintable()
