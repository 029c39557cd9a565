"""What the seed articles claim in numbers: the program's own figure for each, and how the article's stands to it."""

import runpy
import sys

import pytest
from facts_worlds import CUT, EXACT, FACTS, ROUNDED, SCRIPT, UNSAID, WRONG, kernel_facts, told

from nas.arch.cost import Field, convolution, dense, window
from nas.blocks.registry import load_blocks
from nas.blocks.sweep import BlockVariant, compare_blocks
from nas.show.cost import block_record

BLOCKS = load_blocks(load=())


def weights(name, channels, **settings):
    """As `nas cost block` tells them."""
    return block_record(BLOCKS[name], (channels, 28, 28), channels, given=settings)["weights"]


def test_every_id_has_figures_and_none_stands_twice():
    facts = kernel_facts.facts()
    assert list(dict.fromkeys(fact.id for fact in facts)) == [f"A{number}" for number in range(1, 19)]
    assert len(FACTS) == len(facts) >= 60


def test_every_wrong_figure_is_explained_and_no_other():
    assert [fact.about for fact in FACTS.values() if (fact.verdict == WRONG) != bool(fact.error)] == []
    assert sum(fact.verdict == WRONG for fact in FACTS.values()) == 8


@pytest.mark.parametrize(
    ("article", "value", "verdict"),
    [
        ("760", 760, EXACT),
        ("1.4", 25 / 18, ROUNDED),
        ("2", 49 / 27, ROUNDED),
        ("8,600", 8665.9, CUT),
        ("8,600", 8700, WRONG),
        ("13", 12.4999, WRONG),
        ("13", 12.5001, ROUNDED),
        ("65,536", 589_824, WRONG),
        ("", 1, UNSAID),
    ],
)
def test_a_verdict_is_to_the_digits_that_the_article_prints(article, value, verdict):
    assert kernel_facts.Fact("A0", "", "", article, value).verdict == verdict


def test_a1_dense_against_convolution_in_weights():
    assert told("A1", "weights, dense / 11×11 on 32×32") == (8_665.917, CUT)
    assert told("A1", "weights, dense / 3×3 on 224×224") == (279_736_775.111, CUT)
    many = dense((5, 32, 32), 5 * 32 * 32).weights / convolution((5, 32, 32), 5, 11).weights
    assert many == pytest.approx(32**4 / 11**2)  # whatever the channels


def test_a2_dense_against_convolution_in_macs():
    assert told("A2", "multiply-adds, dense / 3×3 on 224×224") == (5_575.111, CUT)
    assert told("A2", "multiply-adds, dense / 11×11 on 32×32") == (8.463, ROUNDED)


def test_a3_a_dense_layer_takes_a_convolution_s_values():
    names = ["3×3 as a dense layer, 4×4 → 2×2: rows of its kernel", "the same: columns"]
    names += ["the same: numbers that are not zero", "the same: outputs alike"]
    assert [told("A3", name)[0] for name in names] == [4, 16, 36, 4]


def test_a4_two_3x3_for_a_5x5():
    assert told("A4", "5×5 / two 3×3") == (1.389, ROUNDED)
    assert (weights("conv", 64, kernel=5), weights("stacked", 64, kernel=3, layers=2)) == (102_400, 73_728)
    rows = {row.block: row for row in compare_blocks(BLOCKS, ["conv", "stacked"], in_channels=64, width=64)}
    assert rows["stacked"].receptive_field == 5
    assert rows["stacked"].times_lighter_by_field == 25 / 18


def test_a5_three_3x3_for_a_7x7():
    assert told("A5", "7×7 / three 3×3") == (1.815, ROUNDED)
    (row,) = compare_blocks(BLOCKS, [BlockVariant("stacked", {"layers": 3})], in_channels=64, width=64)
    assert (row.weights, row.receptive_field, row.times_lighter_by_field) == (110_592, 7, 49 / 27)


def test_a6_bottleneck():
    assert told("A6", "weights of a 3×3, 256 → 256") == (589_824, WRONG)
    assert told("A6", "weights of the bottleneck 256 → 32 → 256") == (25_600, EXACT)
    assert told("A6", "3×3 / bottleneck") == (23.04, WRONG)
    (row,) = compare_blocks(BLOCKS, [BlockVariant("bottleneck", {"reduction": 8})])
    assert (row.times_lighter, row.times_fewer_macs) == (23.04, 23.04)


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_a7_two_groups_halve_every_kernel(kernel):
    assert told("A7", f"{kernel}×{kernel} / two groups of it, 512 channels") == (2, EXACT)
    assert weights("grouped", 512, kernel=kernel, groups=2) == 2 * kernel**2 * 256**2


def test_a8_separable_tends_to_the_kernel_s_surface():
    assert told("A8", "3×3 / separable 3×3, 256 channels") == (8.694, UNSAID)
    assert told("A8", "5×5 / separable 5×5, 256 channels") == (22.776, UNSAID)
    assert told("A8", "3×3 / separable 3×3, channels without end") == (9, ROUNDED)
    assert told("A8", "5×5 / separable 5×5, channels without end") == (24.999, ROUNDED)


@pytest.mark.parametrize(
    ("channels", "large", "stack"), [(32, 9.756, 7.024), (128, 11.679, 8.409), (256, 12.075, 8.694)]
)
def test_a9_two_separable_3x3_at_real_widths(channels, large, stack):
    assert told("A9", f"5×5 / two separable 3×3, {channels} channels")[0] == large
    assert told("A9", f"two 3×3 / two separable 3×3, {channels} channels")[0] == stack


def test_a9_thirteen_times_is_not_even_the_limit():
    assert told("A9", "5×5 / two separable 3×3, channels without end") == (12.5, WRONG)
    assert told("A9", "two 3×3 / two separable 3×3, channels without end") == (9, ROUNDED)
    assert FACTS["A9", "5×5 / two separable 3×3, channels without end"].value < 12.5


def test_a10_spatial():
    assert told("A10", "weights of 1×3 then 3×1, by c²") == (6, EXACT)
    assert told("A10", "weights of a 3×3, by c²") == (9, EXACT)


def test_a11_ten_5x5_on_a_small_image():
    names = ("params of ten 5×5 on 32×32×3", "the same: weights", "the same: activations")
    assert [told("A11", name) for name in names] == [(760, EXACT), (750, EXACT), (10_240, EXACT)]
    assert told("A11", "bytes of ten 5×5's activations, fp32") == (40_960, WRONG)


def test_a12_output_sizes():
    assert (window(4, 3), window(5, 3, padding=1), window(32, 5)) == (2, 5, 28)
    assert [fact.value for (id, _), fact in FACTS.items() if id == "A12"] == [2, 5, 28]


def test_a13_receptive_fields():
    assert kernel_facts.receptive_fields() == {"conv1": 3, "conv2": 5, "max_pool1": 6, "conv3": 10}
    assert Field().after(3).after(3).after(2, 2).after(3).largest == 10


@pytest.mark.parametrize(
    ("name", "numbers"),
    [("3×3 stride 1", (4_194_304, 16, 1_728, 113_246_208)), ("7×7 stride 2", (1_048_576, 4, 9_408, 154_140_672))],
)
def test_a14_first_layer(name, numbers):
    names = (f"activations of {name}", f"MiB of them in fp32, {name}", f"weights of {name}", f"multiply-adds of {name}")
    assert tuple(told("A14", one)[0] for one in names) == numbers


def test_a14_the_article_s_four_megabytes_are_elements():
    assert told("A14", "activations of 3×3 stride 1") == (4_194_304, EXACT)
    assert told("A14", "MiB of them in fp32, 3×3 stride 1") == (16, WRONG)


def test_a15_dense_head_as_a_convolution():
    assert told("A15", "weights of a dense 7×7×512 → 4096") == (102_760_448, CUT)
    assert told("A15", "weights of it as a 7×7 convolution") == (102_760_448, UNSAID)
    assert told("A15", "its side on 7×7") == (1, EXACT)
    assert told("A15", "its side on 9×9") == (3, UNSAID)
    assert convolution((512, 9, 9), 4096, 7, padding=0).output == (4096, 3, 3)


def test_a16_average_pool_before_the_head():
    assert told("A16", "weights of GoogLeNet's 1024 → 1000") == (1_024_000, ROUNDED)
    assert told("A16", "weights without the average pool") == (50_176_000, WRONG)


def test_a17_inception_modules():
    assert told("A17", "weights of inception 3a") == (163_328, UNSAID)
    assert told("A17", "weights of inception 3b") == (388_096, UNSAID)
    assert told("A17", "channels out of inception 3a") == (256, UNSAID)
    assert told("A17", "channels out of inception 3b") == (480, WRONG)


def test_a18_dense_on_a_large_image():
    assert told("A18", "weights of a dense 512×512×3 → 100") == (78_643_200, EXACT)
    assert told("A18", "outputs of a kernel of 100 on the flattened image") == (786_333, EXACT)
    assert told("A18", "weights of a kernel of 100") == (100, WRONG)


def test_the_script_prints_every_figure(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(SCRIPT)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert (ended.value.code, len(lines)) == (0, len(FACTS) + 1)
    assert lines[1].split() == [
        "A1",
        "weights,",
        "dense",
        "/",
        "11×11",
        "on",
        "32×32",
        "8,600",
        "8,665.917",
        "cut",
        "short",
    ]
