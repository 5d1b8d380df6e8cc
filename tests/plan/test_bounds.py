"""What a stranger's network file may ask for: bounds that are stated and moved, and damage that is told in a sentence."""

import random
import re
import time

import pytest

from compound import ZOO, Budget, NetworkError, UsageError, cost, dump_network, fit_budget, parse_network, scale
from compound.bounds import BOUNDS
from compound.errors import TooLargeError
from compound.scaling import DEPTH_RULE, RULES, Scaling

FILE = """\
name: n
resolution: 64
stem: {block: conv, channels: 16}
stages:
- {block: mbconv, kernel: 3, expand: 1, layers: 1, channels: 16}
- {block: mbconv, kernel: 5, expand: 6, layers: 2, channels: 24, stride: 2}
"""
LARGE = [
    ("layers: 2", "layers: 100000000", "net.yaml: stage 2: layers 100,000,000 make too many blocks; use at most 2,000, or raise COMPOUND_MAX_BLOCKS"),
    ("layers: 2", "layers: 2000", "net.yaml: stage 2: layers 2,000 make too many blocks; use at most 2,000, or raise COMPOUND_MAX_BLOCKS"),
    ("expand: 6", "expand: 1.0e+300", "net.yaml: stage 2: expand 1e+300 is too large; use at most 16,000,000, or raise COMPOUND_MAX_NUMBER"),
    ("channels: 24", f"channels: -{'9' * 60}", "net.yaml: stage 2: channels -1e+60 is too large; use at most 16,000,000, or raise COMPOUND_MAX_NUMBER"),
    ("expand: 6", "se: {ratio: 0.5, divisor: 99999999}", "net.yaml: stage 2: se 99,999,999 is too large; use at most 16,000,000, or raise COMPOUND_MAX_NUMBER"),
    ("resolution: 64", "resolution: 98201600", "net.yaml: resolution 98,201,600 is too large; use at most 16,000,000, or raise COMPOUND_MAX_NUMBER"),
    ("name: n", "classes: 1000000000000", "net.yaml: classes 1,000,000,000,000 is too large; use at most 16,000,000, or raise COMPOUND_MAX_NUMBER"),
    ("name: n", "head: {pool: 1000000000}", "net.yaml: head: pool 1,000,000,000 is too large; use at most 16,000,000, or raise COMPOUND_MAX_NUMBER"),
    ("name: n", f"head: {{hidden: [{'8, ' * 200}8]}}", "net.yaml: head: hidden: 201 in one block are too many; use at most 100"),
    ("name: n", "head: {pool: 2000000}", "net.yaml: head: pool: 2,000,000 in one block are too many; use at most 1024"),
    ("block: mbconv, kernel: 5, expand: 6", "block: wired, wires: [{op: global, size: 2000000}]", "net.yaml: stage 2: wire 1: positions: 2,000,000 in one block are too many; use at most 1024"),
    ("block: mbconv, kernel: 5, expand: 6", "block: xception, repeats: 999", "net.yaml: stage 2: repeats: 999 in one block are too many; use at most 100"),
    ("block: mbconv, kernel: 5, expand: 6", "block: inception-residual, branches: [{convs: [[1, 8]]}], units: [[999, 9]]",
     "net.yaml: stage 2: units: 8,991 in one block are too many; use at most 100"),
    ("resolution: 64", f"resolution: {'9' * 5000}", "net.yaml line 2: a number of more than 64 digits; write less, or divide it"),
    ("expand: 6", "expand: " + "[" * 5000, "net.yaml line 6: more than 64 lists and mappings within each other; write less, or divide it"),
]  # fmt: skip


@pytest.mark.parametrize(("right", "wrong", "sentence"), LARGE, ids=[wrong[:24] for _, wrong, _ in LARGE])
def test_what_is_too_large_is_refused_before_anything_is_made_of_it(right: str, wrong: str, sentence: str) -> None:
    began = time.process_time()
    with pytest.raises(NetworkError) as error:
        parse_network(FILE.replace(right, wrong), "net.yaml")
    assert str(error.value) == sentence
    assert time.process_time() - began < 1


@pytest.mark.parametrize("field", ["name: ", "colour_", "head: ", "style: {activation: ", "stem: {block: "])
def test_no_message_holds_a_long_value(field: str) -> None:
    text = FILE.replace("name: n", field + "x" * 50_000 + (": 1" if field == "colour_" else "}" * field.count("{")))
    with pytest.raises(NetworkError) as error:
        parse_network(text.replace("stem: {block: conv, channels: 16}\n", "", int("stem" in field)), "net.yaml")
    assert len(str(error.value)) < 1000


def test_bounds_are_moved_by_variables_of_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = FILE.replace("layers: 2", "layers: 3000")
    monkeypatch.setenv("COMPOUND_MAX_BLOCKS", "4k")
    assert parse_network(deep).stages[1].layers == 3_000
    monkeypatch.setenv("COMPOUND_MAX_NUMBER", "23")
    with pytest.raises(TooLargeError, match=r"channels 24 is too large; use at most 23, or raise COMPOUND_MAX_NUMBER"):
        parse_network(FILE.replace("resolution: 64", "resolution: 20"))
    monkeypatch.setenv("COMPOUND_MAX_NUMBER", "16M")
    monkeypatch.setenv("COMPOUND_MAX_OPERATORS", "20")
    with pytest.raises(TooLargeError, match=r"^n at 64 px: stage 2: too many operators up to here; use at most 20"):
        cost(parse_network(FILE))
    assert all(reason for _, reason in BOUNDS.values())


BEYOND = (1e9, -1e9, float("nan"), float("inf"), 1000.0)


@pytest.mark.parametrize(("rule", "phi"), [(r, p) for r in RULES for p in BEYOND if (r, p) != ("shrink", 1000.0)])
def test_no_knob_is_turned_beyond_all_networks(rule: str, phi: float) -> None:
    began = time.process_time()
    with pytest.raises(UsageError) as error:
        scale(ZOO["efficientnet-b0"], RULES[rule](phi))
    assert len(str(error.value)) < 200
    assert time.process_time() - began < 1


def test_factors_of_any_size_are_told_in_a_sentence() -> None:
    for factors in ({"depth": 1e300}, {"width": 1e300}, {"resolution": 1e300}, {"depth": 1e9}, {"resolution": 1e-300}):
        with pytest.raises(UsageError) as error:
            scale(ZOO["densenet-121"], Scaling(**factors))
        assert len(str(error.value)) < 200


def test_a_line_ends_where_networks_may_be_no_larger() -> None:
    plan = fit_budget(ZOO["efficientnet-b0"], Budget(macs=1e13), DEPTH_RULE)
    assert plan.next_network is None
    assert 1_900 < sum(stage.layers for stage in plan.network.stages) < 2_000


def test_what_is_hardly_meant_is_doubted_aloud() -> None:
    (said,) = parse_network(FILE.replace("kernel: 5", "kernel: 99999")).warnings()
    assert said.startswith("n: stage 2: a window of 99,999 positions on a map of 64×64 sees mostly padding; use a ")
    (said,) = parse_network(FILE.replace("resolution: 64", "resolution: 982016")).warnings()
    assert said.startswith("n: 982,016 px are more than an image classifier has been trained at; ")
    assert [network.name for network in ZOO.values() if network.warnings()] == []


# ------------------------------------------------------------------------------------------- damaged files

STARTS = ("efficientnet-b0", "mobilenet-v3-small", "resnet-18", "resnext-50-32x4d", "densenet-121", "squeezenet-1.1",
          "googlenet", "shufflenet-v2-x0.5", "xception", "inception-resnet-v2", "polynet", "nasnet-a-mobile", "nfnet-f0",
          "senet-154", "vgg-11", "regnety-002", "efficientnetv2-s", "alexnet", "rexnet-1.0", "starnet-s1")  # fmt: skip
HOSTILE = ("-1", "0", "1e300", "9" * 70, "9" * 5000, ".nan", ".inf", "-.inf", "null", "true", "[]", "{}", "''", "~", "1.5",
           "[[[1]]]", "{a: {b: c}}", "*a", "&a [*a]", "!!int x", "!!python/object:os.system {}", "2020-13-45", "1:59:59",
           "x" * 3000, "99999999", "é\u2028", "valid", "[1, -1]", "-3", "'3'", "0x" + "f" * 80, "<<", "? [a]", "!x 3")  # fmt: skip
ODD = ("0", "1", "2", "3", "4", "7", "-1", "-2", "64", "1000", "16000000", "0.5", "'1'", "true", "same", "relu")


def mutated(text: str, chance: random.Random) -> str:
    """The text after one to three accidents or malices."""
    for _ in range(chance.randint(1, 3)):
        kind, values = (
            chance.randrange(9),
            list(re.finditer(r"(?<=: )[^,{}\[\]\n]+|(?<=, )\d+(?=[,\]])|(?<=\[)\d+", text)),
        )
        at = chance.randrange(len(text) + 1)
        if kind <= 5 and values:
            value = chance.choice(values)
            text = text[: value.start()] + chance.choice(HOSTILE if kind <= 2 else ODD) + text[value.end() :]
        elif kind == 6:
            text = text[:at] + text[at + chance.randint(1, 30) :]
        elif kind == 7:
            text = text[:at] + chance.choice("{}[]:,&*!|>'\"%@`\t\n\x00-#0") * chance.choice((1, 2, 300)) + text[at:]
        else:
            lines = text.splitlines(keepends=True) or [""]
            line = chance.randrange(len(lines))
            lines[line] = lines[line] * chance.choice((0, 2, 500))
            text = "".join(lines)
    return text


def opened_in_time(number: int) -> bool:
    """Whether damaged file `number` is still a network; it is opened and counted, or refused, within a second."""
    chance = random.Random(number)
    text = mutated(dump_network(ZOO[chance.choice(STARTS)]), chance)
    began, said = time.process_time(), ""
    try:
        network = parse_network(text, "net.yaml")
        cost(network)
    except UsageError as error:
        network, said = None, str(error)
    assert time.process_time() - began < 1, number
    assert len(said) < 2000, number
    if network:
        assert all(len(line) < 1000 for line in (*network.warnings(), *network.table().splitlines())), number
        assert parse_network(dump_network(network)) == network, number
    return network is not None


def test_many_blocks_of_many_operators_are_refused_within_a_second() -> None:
    """2,000 operators a block, which are looked through once and not for each of 1,900 blocks."""
    rows = "\n".join(
        ("  - {op: act}", "  - {op: add, reads: [%d, 0]}")[i % 2] % ((i,) if i % 2 else ()) for i in range(2000)
    )
    text = "resolution: 32\nstem: {block: conv, channels: 8}\nstages:\n- block: wired\n  channels: 8\n  layers: 1900\n"
    began = time.process_time()
    with pytest.raises(TooLargeError, match="too many operators up to here; use at most 40,000"):
        cost(parse_network(f"{text}  wires:\n{rows}\nhead: {{}}\n", "net"))
    assert time.process_time() - began < 1


@pytest.mark.long
def test_damaged_files_are_networks_or_refused_within_a_second() -> None:
    opened = [opened_in_time(number) for number in range(120)]
    assert 10 < sum(opened) < 110


@pytest.mark.slow
def test_a_thousand_damaged_files_are_networks_or_refused_within_a_second() -> None:
    for number in range(1000):
        opened_in_time(number)
