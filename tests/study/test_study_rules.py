"""What a study must agree on with its blocks, its images and its own past."""

import copy

import pytest

from nas.arch.cost import Cost
from nas.blocks.base import Block
from nas.blocks.registry import load_blocks
from nas.errors import StudyFileError
from nas.study.file import read_study
from nas.study.rules import changes, check_blocks, check_images, check_study, open_study


class Narrow(Block):
    """A toy that takes only 5×5 and 7×7 kernels."""

    name = "narrow"
    choices = {"kernel": (5, 7)}
    options = {"act": "relu", "gain": 1}

    def build(self, in_channels, width, stride, *, kernel, act, gain):
        raise NotImplementedError

    def cost(self, shape, width, stride, *, kernel, act, gain):
        return Cost(params=width)

    def valid(self, in_channels, width, stride, *, kernel, act, gain):
        return act in ("relu", "gelu") and not (act == "gelu" and gain == 2)


@pytest.fixture
def study(small, write):
    return lambda old="", new="": read_study(write(small.replace(old, new, 1)))


def with_options(small, **options):
    return small.replace("depths = [1]", "depths = [1]\n" + "\n".join(f"{k} = {v}" for k, v in options.items()))


def test_sound_study_has_no_problems(study, blocks):
    assert check_blocks(study(), blocks) == []
    check_study(study(), blocks, (1, 8, 8))


def test_unknown_block_gets_the_nearest_and_what_could_not_be_loaded(study, tmp_path):
    (tmp_path / "ghost.py").write_text("import nowhere")
    blocks = load_blocks([tmp_path], load=())
    (line,) = check_blocks(study('"stacked"', '"stakced"'), blocks)
    assert line.startswith("space.blocks: block 'stakced' is not registered (did you mean 'stacked'?); registered: ")
    assert "could not be loaded: ghost (ModuleNotFoundError: No module named 'nowhere')" in line


def test_block_that_takes_none_of_the_kernels_is_named(small, write, blocks):
    text = small.replace('"stacked"', '"narrow"').replace("[3, 5]", "[1, 3]")
    assert check_blocks(read_study(write(text)), blocks.with_block(Narrow)) == [
        "space.kernels: block 'narrow' takes none of 1, 3; allowed: 5, 7"
    ]
    (line,) = check_blocks(read_study(write(small.replace("[3, 5]", "[1]").replace(', "grouped"', ""))), blocks)
    assert line == "space.kernels: block 'stacked' takes none of 1; allowed: odd numbers from 3"


def test_stem_kernel_that_conv_does_not_take_is_named(small, write, blocks):
    class Conv(Narrow):
        """A toy in the place of the plain convolution."""

        name = "conv"

    text = small.replace("depths = [1]", "depths = [1]\nstem = {kernels = [3, 5]}")
    assert check_blocks(read_study(write(text)), blocks.with_block(Conv)) == [
        "space.stem.kernels: block 'conv' takes none of 3; allowed: 5, 7"
    ]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"nrom": '"none"'}, "space.nrom: unknown key (did you mean 'norm'?); allowed: blocks, kernels, widths"),
        ({"kernel": 3}, "space.kernel: a choice of block 'stacked', which the study varies; allowed: options of"),
        ({"norm": '"foo"'}, "space.norm: 'foo' cannot be built by stacked, grouped at any width of the study"),
        (
            {"norm": 5},
            "space.norm: 5 cannot be built by stacked, grouped at any width of the study (block 'stacked': norm =",
        ),
        ({"branches": '""'}, "space.branches: unknown key; allowed: blocks,"),
    ],
)
def test_option_that_blocks_do_not_take_is_one_line(small, write, blocks, options, line):
    (found,) = check_blocks(read_study(write(with_options(small, **options))), blocks)
    assert found.startswith(line)


def test_option_that_blocks_take_is_no_problem(small, write, blocks):
    assert check_blocks(read_study(write(with_options(small, norm='"none"'))), blocks) == []


def test_option_of_one_width_is_tried_at_every_width(small, write, blocks):
    text = with_options(small, branches='"16,8:16,4:16,16"').replace('"stacked"', '"inception"')
    assert check_blocks(read_study(write(text.replace("[8, 16]", "[8, 64]"))), blocks) == []
    (line,) = check_blocks(read_study(write(text)), blocks)
    assert line.startswith("space.branches: '16,8:16,4:16,16' cannot be built by inception at any width")


def test_option_in_a_form_the_block_cannot_read_tells_its_reason(small, write, blocks):
    text = with_options(small, branches='"3,4"').replace('"stacked"', '"inception"')
    (line,) = check_blocks(read_study(write(text)), blocks)
    assert "valid failed: ValueError: branches '3,4' are not of the form" in line
    assert line.endswith("default: ''")


def test_options_that_only_together_cannot_be_built(small, write, blocks):
    text = with_options(small, act='"gelu"', gain=2).replace('"stacked"', '"narrow"')
    (line,) = check_blocks(read_study(write(text)), blocks.with_block(Narrow))
    assert line.startswith("space: the options together cannot be built by narrow")


def test_block_that_no_width_suits_is_not_blamed_on_an_option(small, write, blocks):
    text = with_options(small, norm='"none"').replace("[8, 16]", "[7]")
    assert check_blocks(read_study(write(text)), blocks) == []


@pytest.mark.parametrize(("stages", "fits"), [(4, True), (5, False)])
def test_stages_may_not_halve_the_smaller_side_to_nothing(study, stages, fits):
    found = check_images(study("stages = [2]", f"stages = [2, {stages}]"), (3, 8, 20))
    told = [f"space.stages: {stages} stages halve images of 8 × 20 pixels to nothing; allowed: 1 to 4"]
    assert found == ([] if fits else told)


def test_check_tells_blocks_and_images_together(small, write, blocks):
    study = read_study(write(small.replace("stages = [2]", "stages = [9]").replace('"stacked"', '"no"')))
    with pytest.raises(StudyFileError) as caught:
        check_study(study, blocks, (1, 8, 8))
    assert [line.split(":")[0] for line in caught.value.problems] == ["space.blocks", "space.stages"]


def test_opening_tells_mistakes_of_the_file_and_of_blocks_together(small, write, blocks):
    text = with_options(small, nrom='"none"').replace("trials = 4", "trials = 0").replace("[8, 16]", "8")
    with pytest.raises(StudyFileError) as caught:
        open_study(write(text), blocks, overrides=["seed=-1"])
    keys = ["seed", "space.widths", "search.trials", "space.nrom"]
    assert [line.split(":")[0] for line in caught.value.problems] == keys


def test_opening_tells_an_unknown_block_beside_a_bad_kernel(small, write, blocks):
    text = small.replace('"stacked"', '"stakced"').replace("[3, 5]", "[1, 4]").replace('"grouped"', '"grouped", 5')
    with pytest.raises(StudyFileError) as caught:
        open_study(write(text), blocks)
    told = [line.split(";")[0] for line in caught.value.problems]
    assert told == [
        "space.blocks: 5 is not a text",
        "space.kernels: 4 is even",
        "space.blocks: block 'stakced' is not registered (did you mean 'stacked'?)",
        "space.kernels: block 'grouped' takes none of 1, 4",
    ]


@pytest.mark.parametrize("space", ["space = 3", "[space]\nblocks = {a = 1}", ""])
def test_opening_a_file_without_a_space_tells_the_file_alone(write, blocks, space):
    with pytest.raises(StudyFileError, match=r"space(\.blocks)?: "):
        open_study(write(f'name = "a"\ndataset = "digits"\n{space}\n'), blocks)


def test_opening_a_sound_file_gives_the_study(small, write, blocks):
    assert open_study(write(small), blocks).name == "small"


def changed(config, **values):
    new = copy.deepcopy(config)
    for key, value in values.items():
        table, _, name = key.partition("_")
        (new[table] if name else new)[name or table] = value
    return new


def test_trials_keep_sampler_and_more_blocks_may_change(study):
    config = study().config
    new = changed(
        config, search_trials=9, search_keep=0, search_sampler="gp", space_blocks=["new", "stacked", "grouped"]
    )
    assert changes(config, new) == []
    assert changes(config, config) == []


def test_each_changed_key_is_named_with_both_values(study):
    config = study().config
    new = changed(config, train_epochs=20, seed=1, budget_params=500, space_widths={"low": 8, "high": 24, "step": 8})
    new["space"]["stem"]["kernels"] = [5]
    end = "; a study keeps its question: choose another name"
    assert sorted(changes(config, new)) == [
        f"budget.params: was not set, is now 500{end}",
        f"seed: was 0, is now 1{end}",
        f"space.stem.kernels: was [3], is now [5]{end}",
        f"space.widths: was [8, 16], is now {{low = 8, high = 24, step = 8}}{end}",
        f"train.epochs: was 10, is now 20{end}",
    ]


@pytest.mark.parametrize(("key", "value"), [("search_pruner", "none"), ("search_fill", False), ("space_norm", "none")])
def test_what_changes_results_may_not_change(study, key, value):
    config = study().config
    assert len(changes(config, changed(config, **{key: value}))) == 1


def test_removed_block_is_named(study):
    config = study().config
    assert changes(config, changed(config, space_blocks=["grouped"])) == [
        "space.blocks: was ['stacked', 'grouped'], is now ['grouped']; "
        "blocks may be added, not removed: choose another name"
    ]


def test_config_from_before_a_key_existed_takes_its_default(study):
    config = study().config
    old = copy.deepcopy(config)
    del old["search"]["fill"], old["train"]["precision"]
    assert changes(old, config) == []
    del old["space"]["kernels"]
    assert len(changes(old, config)) == 3


def test_unknown_data_set_is_told_with_the_other_mistakes(small, write, blocks):
    text = small.replace('"digits"', '"digts"').replace("kernels = [3, 5]", "kernels = [4]")
    with pytest.raises(StudyFileError) as caught:
        open_study(write(text), blocks)
    told = "\n".join(caught.value.problems)
    names = "digits, mnist, fashion-mnist, cifar10"
    assert f"dataset: 'digts' is not known (did you mean 'digits'?); allowed: {names}, or the path of an .npz" in told
    assert "space.kernels: 4 is even" in told
