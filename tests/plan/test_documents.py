"""Small files of strangers are refused in a second, whatever they hold; and no spreadsheet runs what is written."""

import csv
import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compound import UsageError, load_network
from compound.documents import MOST_VALUES, csv_text, parse_yaml, read_json, read_yaml, unguarded, write_records

# Ten names of ten, nine times: ten thousand million values in 500 bytes ("billion laughs").
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
)
MERGED = "a0: &a0 {k: v, l: w}\n" + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 40))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "x line 5: more than 100,000 values or"),
        (MERGED, "more than 100,000 values"),
        ("rate: 1\nbatch: 2\nrate: 3", "x line 3: rate stands twice in one mapping; leave one out"),
        ("a: [{b: {c: 1}, b: 2}]", "x line 1: b stands twice in one mapping"),
        ("a: &a [1, *a]", "x line 1: *a stands within itself"),
        ("[" * 100_000, "more than 64 lists and mappings within each other"),
        ("- " * 100_000, "more than 64 lists and mappings within each other"),
        ("{a: " * 100_000, "more than 64 lists and mappings within each other"),
        ("? " * 100_000, "more than 64 lists and mappings within each other"),
        ("- a\n" * (MOST_VALUES + 1), "more than 100,000 values"),
        ("1" + ":59" * 100_000, "a value of more than 65,536 characters"),
        ("1" + ":59" * 20_000 + ".5", "a number of more than 64 digits"),
        (
            "a: &a '" + "y" * 60_000 + "'\nb: [" + "*a, " * 1000 + "]",
            "more than 100,000 values or 1,048,576 characters",
        ),
        ("a: *nobody", "x line 1: not valid YAML: found undefined alias"),
        ("a: [1", ": not valid YAML: "),
        ("!!python/object/apply:os.system [id]", "not valid YAML: could not determine a constructor"),
        ("!!timestamp no", "not valid YAML: a value is not what its tag says"),
        ("2020-13-45", "not valid YAML: a value is not what its tag says (ValueError)"),
        ("9" * 5000, "a number of more than 64 digits"),
    ],
)
def test_yaml_that_is_too_much_is_refused_within_a_second(text, said):
    start = time.process_time()
    with pytest.raises(UsageError) as error:
        parse_yaml(text, "x")
    assert time.process_time() - start < 1
    assert said in str(error.value)
    assert len(str(error.value)) < 300


def test_names_within_bounds_may_be_used():
    assert parse_yaml("a: &a {k: 1}\nb: *a\nc: {<<: *a, l: 2}", "x") == {
        "a": {"k": 1},
        "b": {"k": 1},
        "c": {"k": 1, "l": 2},
    }
    assert parse_yaml("", "x") is None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"{", "damaged: line 1, column 2: expecting property name enclosed in double quotes; make it again"),
        (b"[" * 1_000_000, "is damaged: it is nested too deeply; make it again"),
        (b"9" * 5000, "is damaged: a number in it is too long; make it again"),
        (b"\xff\xfe", "is not text in UTF-8; make it again"),
        (b" " * 2000, "it has more than the 1,000 bytes that are allowed; make it again"),
    ],
)
def test_json_that_is_no_json_is_told_in_a_sentence(tmp_path, monkeypatch, data, said):
    monkeypatch.setenv("COMPOUND_MAX_JSON", "1000" if b" " in data else "64MiB")
    file = tmp_path / "f.json"
    file.write_bytes(data)
    with pytest.raises(UsageError) as error:
        read_json(file, "make it again", "table")
    assert f"table {file}" in str(error.value)
    assert said in str(error.value)
    with pytest.raises(UsageError, match=r"^cannot read .*none: No such file or directory; make it again$"):
        read_json(tmp_path / "none", "make it again")


def test_a_byte_order_mark_is_no_fault(tmp_path):
    (tmp_path / "f").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(tmp_path / "f", "") == read_yaml(tmp_path / "f", "") == {"a": 1}


def test_a_network_file_may_be_a_bomb(tmp_path):
    (tmp_path / "net.yaml").write_text(BOMB)
    with pytest.raises(UsageError, match=r"net\.yaml line 5: more than 100,000 values"):
        load_network(tmp_path / "net.yaml")


def test_no_cell_of_a_table_is_a_formula_and_numbers_stay_numbers(tmp_path):
    evil = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1"]
    path = write_records(tmp_path / "t.csv", [{"=name": one, "n": -0.5, "words": "-0.5"} for one in evil])
    with path.open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["'=name", "n", "words"]
    assert rows == [[f"'{one}", "-0.5", "-0.5"] for one in evil]
    assert csv_text(["a"], [["1e-5"], ["+.5E+3"], ["-"], [None], [True], ["a=b"], ['a\r"=1']]) == (
        'a\n1e-5\n+.5E+3\n\'-\n""\nTrue\na=b\n"a\r""=1"\n'
    )
    assert [one.name for one in tmp_path.iterdir()] == ["t.csv"]


@given(st.text(st.sampled_from("'=+-@\t1.ae")))
def test_what_was_guarded_against_a_spreadsheet_is_read_as_it_was(text):
    _, cell = csv.reader(io.StringIO(csv_text(["name"], [[text]])))
    assert not cell[0].startswith(("=", "@", "\t"))
    assert unguarded(cell[0]) == text
