"""Reading delimited files of all kinds, refusing what is none, and writing them."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nnkit.datasets import DATASETS, Dataset, make_dataset, read_csv, read_table, to_csv
from nnkit.datasets.csv import MAX_LINE
from nnkit.datasets.table import MISSING
from nnkit.errors import ConfigError, DataError, NnkitError

# --- dialects --------------------------------------------------------------------------------

DIALECTS = {
    "comma": "a,b,k\n1.5,2,x\n-3e-1,4,y\n",
    "semicolon and decimal comma": "a;b;k\n1,5;2;x\n-3e-1;4;y\n",
    "all decimal commas": "a;b;k\n1,5;2,0;x\n-0,3;4,0;y\n",
    "tab": "a\tb\tk\n1.5\t2\tx\n-0.3\t4\ty\n",
    "bar": "a|b|k\n1.5|2|x\n-.3|4.|y\n",
    "quoted": '"a","b","k"\n"1.5","2","x"\n"-0.3","4","y"\n',
    "quoted decimal comma": '"a","b","k"\n"1,5","2","x"\n"-0,3","4","y"\n',
    "blanks": " a , b , k \n 1.5 , 2 ,  x\n -0.3 , 4 ,y \n",
    "blank before quote": 'a, b, k\n1.5, "2", "x"\n-0.3, 4, "y"\n',
    "CRLF": "a,b,k\r\n1.5,2,x\r\n-0.3,4,y\r\n",
    "CR": "a,b,k\r1.5,2,x\r-0.3,4,y\r",
    "no last line end": "a,b,k\n1.5,2,x\n-0.3,4,y",
    "blank lines": "\n\na,b,k\n\n1.5,2,x\n  \n-0.3,4,y\n\n\n",
    "last columns empty": "a,b,k,,\n1.5,2,x,,\n-0.3,4,y,,\n",
    "byte order mark": "\ufeffa,b,k\n1.5,2,x\n-0.3,4,y\n",
    "UTF-8 bytes": b"a,b,k\n1.5,2,x\n-0.3,4,y\n",
    "UTF-8 bytes with mark": b"\xef\xbb\xbfa,b,k\n1.5,2,x\n-0.3,4,y\n",
    "UTF-16": "a\tb\tk\n1.5\t2\tx\n-0.3\t4\ty\n".encode("utf-16"),
    "big-endian UTF-16": "\ufeffa,b,k\n1.5,2,x\n-0.3,4,y\n".encode("utf-16-be"),
}


@pytest.mark.parametrize("source", DIALECTS.values(), ids=DIALECTS)
def test_dialects_give_the_same_data(source):
    data = read_csv(source)
    assert data.input_names == ("a", "b") and data.target_name == "k"
    assert data.class_names == ("x", "y") and data.targets.tolist() == [0, 1]
    np.testing.assert_array_equal(data.inputs, np.float32([[1.5, 2], [-0.3, 4]]))
    assert data.notes == ()


def test_quotes_hold_delimiters_quotes_and_line_ends():
    table = read_table('"a, b","say ""c""","k\nl"\n1,2,"x\r\ny"\n3,4,z\n')
    assert table.names == ("a, b", 'say "c"', "k l")
    assert table["k l"].cells == ("x y", "z")
    assert table.lines.tolist() == [3, 5]


def test_windows_1252_bytes_are_understood():
    assert read_table("größe;preis in €\n1,5;2\n".encode("cp1252")).names == (
        "größe",
        "preis in €",
    )


def test_header_is_found_named_or_denied():
    assert read_table("1,2\n3,4\n").names == ("column 1", "column 2")
    assert read_table("1,k\n3,4\n").has_header is False
    assert read_table("2019,2020\n3,4\n", header=True).names == ("2019", "2020")
    assert len(read_table("a,b\nc,d\n", header=False)) == 2
    assert read_table(",b\n0,1\n").names == ("column 1", "b")


def test_delimiter_and_decimal_can_be_given():
    table = read_table("a~b\n1,5~2.5\n", delimiter="~", decimal=",")
    assert table["a"].values.tolist() == [1.5] and math.isnan(table["b"].values[0])
    assert read_table("1;2,3\n4;5,6\n").delimiter == ";"
    assert read_table("1;2,3\n4;5,6\n", delimiter=",").names == ("column 1", "column 2")


def test_a_comma_beside_points_is_no_decimal_mark():
    table = read_table('a,b\n"1,234",2.5\n3,4.5\n')
    assert table.decimal == "." and math.isnan(table["a"].values[0])


def test_the_most_regular_delimiter_wins():
    rows = "".join(f"{i},a;b,{i}\n" if i == 3 else f"{i},c,{i}\n" for i in range(9))
    assert read_table(rows).delimiter == ","


def test_path(tmp_path):
    file = tmp_path / "points.csv"
    file.write_text("a,k\n1,x\n2,y\n")
    assert len(read_csv(file)) == 2
    with pytest.raises(DataError, match=r"cannot read .*none\.csv"):
        read_csv(tmp_path / "none.csv")
    with pytest.raises(DataError, match=r"pass pathlib\.Path"):
        read_csv("points.csv")


def test_columns_numbers_and_kinds():
    table = read_table("n,mixed,text,none\n1,1,a,\nNA,2,2,?\n+.5,oops,b,null\n")
    assert {column.name: column.kind for column in table.columns} == {
        "n": "number",
        "mixed": "number",
        "text": "text",
        "none": "empty",
    }
    np.testing.assert_array_equal(table["n"].values, [1, np.nan, 0.5])
    assert table["n"].missing.tolist() == [False, True, False]
    with pytest.raises(ConfigError, match="n, mixed, text, none"):
        table["x"]


@pytest.mark.parametrize("cell", ["1_000", "0x1F", "१", "1e", "e5", ".", "--1", "1 000", "1.2.3"])
def test_what_python_or_nobody_calls_a_number_is_none(cell):
    assert math.isnan(read_table(f"a,b\n{cell},2\n")["a"].values[0])


# --- choosing a data set ---------------------------------------------------------------------


def test_task_is_guessed_from_the_target():
    def task(*cells: str) -> str:
        return read_table("a,y\n" + "".join(f"1,{cell}\n" for cell in cells)).guess_task("y")

    assert task("cat", "dog") == "classification"
    assert task("0", "1", "1.0") == "classification"
    assert task("-1", "1") == "classification"
    assert task("0.5", "1") == "regression"
    assert task("7", "8", "9", "8") == "regression", "three of four differ"
    assert task(*map(str, range(10)), *map(str, range(10))) == "classification"
    assert task(*map(str, range(11)), *map(str, range(11))) == "regression"


def test_columns_can_be_chosen():
    text = "name,a,b,c\nann,1,2,0\nbob,3,4,1\n"
    data = read_csv(text, inputs=["c", "a"], target="b", task="regression")
    assert data.input_names == ("c", "a") and data.target_name == "b"
    np.testing.assert_array_equal(data.inputs, [[0, 1], [1, 3]])
    assert data.targets.tolist() == [2.0, 4.0]
    data = read_csv(text)
    assert data.input_names == ("a", "b")
    assert data.notes == ("Column name holds text and was not used.",)
    assert read_csv(text, target="name").class_names == ("ann", "bob")


def test_numbers_as_classes_are_sorted_by_value_and_keep_their_names():
    data = read_csv("a,y\n1,10\n2,9\n3,-1\n4,9.0\n", task="classification")
    assert data.class_names == ("-1", "9", "10")
    assert data.targets.tolist() == [2, 1, 0, 1]


def test_rows_with_missing_values_are_left_out_and_counted():
    text = "a,b,k\n1,2,x\n,3,y\n4,NaN,y\n5,6,?\n7,8,y\n"
    data = read_csv(text)
    assert data.inputs.tolist() == [[1, 2], [7, 8]]
    assert data.notes == (
        "3 of 5 rows have missing values and were left out (the first on line 3).",
    )
    assert len(read_csv(text, inputs=["a"])) == 3, "what is not used may be missing"


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("a,b,k\n1,5,x\n2,5,y\n", "Column b is 5 in every row: it tells nothing."),
        ("a,k\n1e9,x\n-2e9,y\n", "Column a reaches 2.0e+09: turn on standardization."),
        ("a,y\n1,0.5\n2,2.5e9\n", "Column y reaches 2.5e+09: scale it to about 1"),
        ("a,k\n1700000000,x\n1700000003,y\n", "Column a loses detail in float32"),
        ("a,e,k\n1,,x\n2,,y\n", "Column e is empty and was not used."),
    ],
)
def test_what_makes_learning_hard_is_noted(text, note):
    notes = read_csv(text).notes
    assert len(notes) == 1 and notes[0].startswith(note)


# --- what cannot be read ---------------------------------------------------------------------

REFUSED = {
    "empty": ("", "the file is empty"),
    "blank": (" \n\n,,\n", "the file is empty"),
    "names only": ("a,b\n", "no data under it"),
    "one row": ("a,b\n1,2\n", "complete rows: 1 of 1; at least two"),
    "one complete row": ("a,b\n1,2\n,2\n?,4\n", "complete rows: 1 of 3; at least two"),
    "one column": ("a\n1\n2\n", "one column only.*delimiter"),
    "one class": ("a,k\n1,x\n2,x\n", r"column k holds one class only \(x\)"),
    "same target": ("a,y\n1,1.5\n2,1.5\n", "the target is 1.5 in every row"),
    "same inputs": ("a,b,k\n1,2,x\n1,2,y\n", "every input is the same"),
    "no numbers": ("a,k\nu,x\nv,y\n", "no other column holds numbers"),
    "same names": ("a,b,a\n1,2,3\n", "line 1, column 3: the name 'a' is taken by column 1"),
    "long row": ("a,b\n1,2\n\n3,4,5\n", "line 4, column 3: this row has 3 values, where .* 2"),
    "short row": ("a,b,c\n1,2,3\n4\n", "line 3, column 2: this row has 1 value, where .* 3"),
    "open quote": ('a,b\n1,"2\n3,4\n', "line 2, column 2: a quote is opened here and never"),
    "open quote in semicolons": ('a;b\n1,5;2,5\n"u";"2\n', "line 3, column 2: a quote is opened"),
    "open quote after line end": ('a,b\n"u\nv","2\n3,4\n', "line 3, column 2: a quote is opened"),
    "open quote, long": ('a,b\n1,"\n' + "3,4\n" * 50_000, "line 2, column 2: .* never closed"),
    "text after quote": ('a,b\n1,2\n3,"4"5\n', "line 3, column 2: a closing quote must be"),
    "word among numbers": (
        "a,b,k\n1,2,x\n3,oops,y\n4,5,x\n",
        "line 3, column 2 .b.: 'oops' is not",
    ),
    "infinity": ("a,k\n1,x\n\n-inf,y\n", r"line 4, column 1 \(a\): '-inf' is not a finite number"),
    "overflow": ("a,k\n1,x\n1e999,y\n", r"line 3, column 1 \(a\): '1e999' is not a finite"),
    "beyond float32": ("a,k\n1,x\n-1e39,y\n", "column a reaches 1.0e.39: beyond"),
    "many classes": ("a,k\n" + "".join(f"1,c{i}\n2,c{i}\n" for i in range(51)), "51 different"),
    "million rows": ("a,b\n" + "1,2\n" * 1_000_000, "line 100002: .* more than 100,000 rows"),
    "million empty rows": ('""\n' * 1_000_000, "more than 100,000 rows"),
    "wide": (",".join("abc" * 100) + "\n", "line 1: 300 columns, where 256"),
    "long line": ("a,b\n1," + "2" * MAX_LINE, "line 2: more than 100,000 characters"),
    "large": (b"1,2\n" * 5_000_001, "larger than 20,000,000 bytes"),
    "spreadsheet": (b"PK\x03\x04\x14\x00\x06", "export it as CSV"),
    "picture": (b"\x89PNG\r\n\x1a\n\x00\x00", r"line 2, character 1: '\\x1a' is not text"),
    "zeros": ("a,b\n1,\x002\n", r"line 2, character 3: '\\x00' is not text"),
    "bytes of no text": (b"a,b\r\n1,2\r\n3,\x81\n", "line 3, character 3: byte 0x81 is not text"),
    "broken UTF-16": (b"\xff\xfea\x00,\x00b", "is not text"),
    "half a surrogate": ("a,k\n1,\ud800\n", r"line 2, character 3: '\\ud800' is not text"),
}


@pytest.mark.parametrize(("source", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_said_with_its_place(source, message):
    with pytest.raises(DataError, match=message) as caught:
        read_csv(source)
    str(caught.value).encode()  # can be shown


def test_limits_can_be_set():
    text = "a,k\n1,x\n2,y\n"
    assert len(read_csv(text, max_rows=2)) == 2
    with pytest.raises(DataError, match=r"line 3: .*more than 1 rows"):
        read_csv(text, max_rows=1)
    with pytest.raises(DataError, match="larger than 5 bytes"):
        read_csv(text, max_bytes=5)


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("delimiter", {"delimiter": ""}),
        ("delimiter", {"delimiter": ";;"}),
        ("delimiter", {"delimiter": '"'}),
        ("delimiter", {"delimiter": "\n"}),
        ("decimal", {"decimal": "'"}),
        ("decimal", {"decimal": ",", "delimiter": ","}),
        ("inputs", {"inputs": ["z"]}),
        ("inputs", {"inputs": []}),
        ("inputs", {"inputs": "a"}),
        ("inputs", {"inputs": ["a", "a"]}),
        ("inputs", {"inputs": ["k"]}),
        ("target", {"target": "z"}),
        ("task", {"task": "clustering"}),
    ],
)
def test_arguments_out_of_range_name_their_field(field, arguments):
    with pytest.raises(ConfigError) as caught:
        read_csv("a,b,k\n1,2,x\n3,4,y\n", **arguments)
    assert caught.value.field == field


def test_no_input_where_all_other_columns_are_text_says_so():
    with pytest.raises(DataError, match="no other column holds numbers; inputs must be numbers"):
        read_csv("colour,weather,mood\nred,sun,good\nblue,rain,bad\n", inputs=[])


def test_regression_on_text_says_where():
    with pytest.raises(DataError, match=r"line 2, column 2 \(k\): 'x' is not a number"):
        read_csv("a,k\n1,x\n2,y\n", task="regression")


# --- anything at all -------------------------------------------------------------------------

scraps = st.lists(
    st.sampled_from(
        ["a", "b", "1", "2.5", "-3e2", ",", ";", "\t", '"', "\n", "\r", "\r\n", " ", "NaN", "inf",
         "x", ".", "1,5", "\ufeff", "ü", "1e400", "??"]
    )
).map("".join)  # fmt: skip


@st.composite
def spoiled(draw):
    """A good file with up to three places overwritten."""
    text = draw(st.sampled_from(list(DIALECTS.values())[:7]))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(text)))
        text = text[:start] + draw(scraps) + text[start + draw(st.integers(0, 4)) :]
    return text


encoded = scraps.map(lambda text: text.encode("cp1252", "replace"))


@given(st.one_of(st.text(), st.binary(), scraps, encoded, spoiled(), spoiled()))
@settings(max_examples=500, deadline=None)
def test_anything_gives_sound_data_or_a_clear_error(source):
    try:
        data = read_csv(source)
    except NnkitError as error:
        assert len(str(error)) > 15
        str(error).encode()
    else:
        assert len(data) >= 2 and np.isfinite(data.inputs).all() and np.isfinite(data.targets).all()
        assert len(np.unique(data.targets)) >= 2


names = (
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=8)
    .map(lambda text: " ".join(text.split()))
    .filter(lambda text: text and text.lower() not in MISSING and text != "\ufeff")
)
numbers = st.floats(-1e6, 1e6).map(lambda value: round(value, 6))


@st.composite
def files(draw):
    """A file's text and encoding, and the names and rows (None: missing) it should give."""
    delimiter = draw(st.sampled_from(",;\t|"))
    decimal = draw(st.sampled_from(".," if delimiter != "," else "."))
    columns = draw(st.lists(names, min_size=2, max_size=5, unique=True))
    row = st.tuples(*[st.one_of(numbers, numbers, st.none())] * len(columns))
    rows = draw(st.lists(row, min_size=1, max_size=8))
    text = io.StringIO()
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writerow(columns)
    for values in rows:
        cells = ["" if value is None else repr(value).replace(".", decimal) for value in values]
        writer.writerow(cells)
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
    return text.getvalue().encode(encoding), delimiter, decimal, columns, rows


@given(files())
@settings(max_examples=150, deadline=None)
def test_tables_are_read_as_they_were_written(file):
    source, delimiter, decimal, columns, rows = file
    table = read_table(source, delimiter=delimiter, decimal=decimal, header=True)
    assert table.names == tuple(columns)
    expected = np.array([[np.nan if v is None else v for v in row] for row in rows])
    np.testing.assert_array_equal(np.column_stack([c.values for c in table.columns]), expected)


@given(st.sampled_from(",;\t|"), st.sampled_from(".,"), st.integers(2, 5), st.integers(2, 30),
       st.integers(0, 99))  # fmt: skip
@settings(deadline=None)
def test_dialects_are_guessed(delimiter, decimal, width, length, seed):
    if delimiter == decimal:
        return
    values = np.round(np.random.default_rng(seed).normal(size=(length, width)), 3) + 0.0001
    lines = [delimiter.join(f"n{i}" for i in range(width))]
    lines += [delimiter.join(f"{v:.4f}".replace(".", decimal) for v in row) for row in values]
    table = read_table("\n".join(lines))
    assert (table.delimiter, table.decimal, table.has_header) == (delimiter, decimal, True)
    read = np.column_stack([column.values for column in table.columns])
    np.testing.assert_allclose(read, values, atol=1e-9)


# --- writing ---------------------------------------------------------------------------------


def same(one: Dataset, other: Dataset) -> bool:
    return (
        one.inputs.tobytes() == other.inputs.tobytes()
        and one.targets.tobytes() == other.targets.tobytes()
        and one.class_names == other.class_names
        and one.input_names == other.input_names
        and one.target_name == other.target_name
        and one.task == other.task
    )


@pytest.mark.parametrize("name", DATASETS)
def test_toy_data_come_back_unchanged(name):
    data = make_dataset(name, samples=60, noise=0.2, seed=3)
    assert same(read_csv(to_csv(data)), data)
    assert same(read_csv(to_csv(data).replace("\n", "\r\n").encode()), data)


floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


@st.composite
def datasets(draw):
    """Any data that can be learned from, of any float32 and any names."""
    n, d = draw(st.integers(2, 12)), draw(st.integers(1, 4))
    columns = draw(st.lists(names, min_size=d + 1, max_size=d + 1, unique=True))
    inputs = draw(hnp.arrays(np.float32, (n, d), elements=floats))
    inputs[0, 0] = 0.5 if inputs[1, 0] != 0.5 else 1.5
    common = {"input_names": tuple(columns[:d]), "target_name": columns[d]}
    if draw(st.booleans()):
        targets = draw(hnp.arrays(np.float32, n, elements=floats))
        targets[0] = 0.5 if targets[1] != 0.5 else 1.5
        return Dataset(inputs, targets, "regression", **common)
    words = names.map(lambda name: f"c {name}")
    classes = draw(
        st.one_of(
            st.lists(words, min_size=2, max_size=5, unique=True).map(sorted),
            st.sets(st.integers(-99, 99), min_size=2, max_size=5).map(sorted),
        )
    )
    extra = draw(st.lists(st.integers(0, len(classes) - 1), min_size=n, max_size=n))
    labels = (list(range(len(classes))) + extra)[: max(n, len(classes))]
    inputs = np.resize(inputs, (len(labels), d))
    return Dataset(inputs, labels, "classification", class_names=tuple(map(str, classes)), **common)


@given(datasets())
@settings(max_examples=200, deadline=None)
def test_any_data_come_back_bit_for_bit(data):
    text = to_csv(data)
    back = read_csv(text, header=True, delimiter=",", decimal=".", task=data.task)
    assert same(back, data)


def test_numbers_that_may_be_thousands_are_asked_about():
    text = 'city,pop,rich\na,"1,234",0\nb,"5,678",1\nc,950,0\n'
    with pytest.raises(DataError, match=r'"1,234" may be thousands or decimals'):
        read_table(text)
    for beside in ('name,"Pop, total"\na,"1,234"\n', 'name,pop\n"Smith, J","1,234"\n'):
        with pytest.raises(DataError, match="may be thousands"):
            read_table(beside)
    assert read_table(text, decimal=",")["pop"].values[0] == 1.234
    assert read_table(text.replace("1,234", "0,234"))["pop"].values[0] == 0.234
    assert read_table("a;b\n1,234;1\n5,678;0\n")["a"].values[0] == 1.234


def test_a_missing_value_is_no_name():
    assert not read_table("NA,?,cat\n1,2,dog\n3,4,cat\n").has_header
    assert read_table(",a,kind\n1,2,dog\n3,4,cat\n").has_header
