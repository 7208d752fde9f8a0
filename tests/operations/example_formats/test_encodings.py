"""Delimiters, encodings and compression of files are recognised by their content."""

from __future__ import annotations

import csv
import gzip
import io
import json
import time
from pathlib import Path

import pytest
import zstandard

from app.errors import BadRequest
from app.operations.example_file import Content, ExampleFile
from app.operations.example_formats.base import Options
from app.operations.example_formats.prompts import prompt_of

ROWS = [["prompt", "task", "q:a", "q:b"], ["Zwei\nZeilen, „ä“; 1\t2 | 3", "t", "0.5", ""], ["€ und 漢字", "", "1", "0"]]
EXPECTED = [("Zwei\nZeilen, „ä“; 1\t2 | 3", {"a": 0.5}, "t", 2), ("€ und 漢字", {"a": 1.0, "b": 0.0}, None, 4)]


def table(delimiter: str = ",", end: str = "\n", comma: bool = False) -> str:
    text = io.StringIO()
    rows = [[cell.replace("0.5", "0,5") if comma else cell for cell in row] for row in ROWS]
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows(rows)
    return text.getvalue()


def read(
    path: Path, content: bytes, options: Options | None = None
) -> list[tuple[str | None, dict[str, float], str | None, int]]:
    path.write_bytes(content)
    return [(e.prompt, e.scores, e.task, line) for line, e in ExampleFile(path, "import", options)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_recognised(tmp_path: Path, delimiter: str, end: str) -> None:
    assert read(tmp_path / "a.csv", table(delimiter, end).encode()) == EXPECTED


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_numbers_beside_semicolons_and_tabs_may_have_a_decimal_comma(tmp_path: Path, delimiter: str) -> None:
    assert read(tmp_path / "a.csv", table(delimiter, comma=True).encode()) == EXPECTED


def test_excels_line_with_the_separator_is_read(tmp_path: Path) -> None:
    found = read(tmp_path / "a.csv", b"sep=;\r\n" + table(";", "\r\n").encode())
    assert [row[:3] for row in found] == [row[:3] for row in EXPECTED]
    assert [row[3] for row in found] == [3, 5]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("packed", ["", "gzip", "zstd"])
def test_encodings_and_compression_are_recognised(tmp_path: Path, encoding: str, packed: str) -> None:
    content = table().encode(encoding)
    if packed:
        content = gzip.compress(content) if packed == "gzip" else zstandard.compress(content)
    assert read(tmp_path / "labels.txt", content) == EXPECTED


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_jsonl_of_other_encodings_is_read(tmp_path: Path, encoding: str) -> None:
    rows = [{"prompt": "„ä“", "scores": {"a": 1}}, {"prompt": "b", "scores": {"a": 0}}]
    text = "\r\n\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    assert [(row[0], row[3]) for row in read(tmp_path / "a", text.encode(encoding))] == [("„ä“", 1), ("b", 3)]


def test_what_was_unpacked_within_a_limit_is_not_unpacked_again() -> None:
    content = Content("a.csv", gzip.compress(b"prompt,q:a\nx,1\n"))
    with pytest.raises(BadRequest, match="more than once"):
        list(ExampleFile(content, "import"))


@pytest.mark.parametrize("name", ["hex", "rot13", "utf-8\0", "idna", "nothing"])
def test_what_is_no_encoding_of_texts_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadRequest, match="encoding: ") as refused:
        read(tmp_path / "a.csv", b"prompt,q:a\nx,1\n", Options(encoding=name))
    assert refused.value.param == "encoding"


def test_text_of_another_encoding_is_refused_with_the_option_that_helps(tmp_path: Path) -> None:
    text = "prompt,q:a\nGrüße,1\n"
    with pytest.raises(BadRequest, match=r"not UTF-8, .*--encoding cp1252"):
        read(tmp_path / "a.csv", text.encode("cp1252"))
    assert read(tmp_path / "a.csv", text.encode("cp1252"), Options(encoding="cp1252"))[0][0] == "Grüße"
    with pytest.raises(BadRequest, match=r"not UTF-8, .*--encoding cp1252"):
        read(tmp_path / "a.jsonl", '{"prompt": "Grüße", "scores": {"a": 1}}\n'.encode("cp1252"))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04\x14\0", "Excel workbook"),
        (b"PAR1\x15\x04", "Parquet"),
        (b"prompt,q:a,q:a\nx,1,0\n", "'q:a' twice"),
        (b"prompt,q:a,q: a\nx,1,0\n", "'q:a' twice"),
        (b"prompt;prompt;q:a\nx;y;0\n", "'prompt' twice"),
        (b"prompt,q:\nx,1\n", "'q:' names no model"),
        (b'prompt,q:a\nx,"0,5"\n', "'0,5' is not a number"),
        (b"prompt,q:a\nx,1_0\n", "'1_0' is not a number"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, content: bytes, what: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read(tmp_path / "a.csv", content)
    assert what in refused.value.message
    assert "a.csv line " in refused.value.message


@pytest.mark.parametrize("content", [b'"\n' + b"x\n" * 3_000_000, b'"' + b"x" * 5_000_000, b",;" * 100_000 + b"\n"])
def test_a_header_without_an_end_is_refused_at_once(tmp_path: Path, content: bytes) -> None:
    start = time.monotonic()
    with pytest.raises(BadRequest, match="the header "):
        read(tmp_path / "a.csv", content)
    assert time.monotonic() - start < 1


def test_a_cell_that_would_be_parsed_for_too_long_is_refused(tmp_path: Path) -> None:
    nested = "[" + "[]," * 250_000 + "[]]"
    with pytest.raises(BadRequest, match=r"line 2: messages: .* more than"):
        read(tmp_path / "a.csv", f'messages,q:a\n"{nested}",1\n'.encode())
    literal = "['\"', " + "[]," * 250_000 + "[]]"
    assert [prompt_of(text) for text in (nested, literal)] == [{"prompt": nested}, {"prompt": literal}]


def test_empty_columns_and_rows_that_spreadsheets_leave_are_passed_over(tmp_path: Path) -> None:
    content = b"prompt;q:a;;\nx;1;;\n;;;\n\ny;0;;\n"
    assert [(row[0], row[3]) for row in read(tmp_path / "a.csv", content)] == [("x", 2), ("y", 5)]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (
            '[{"prompt": "p", "scores": {"a": 1}},\n{"prompt": "q" "scores": {}}, "and a long rest"]',
            2,
            "not JSON",
        ),
        ('[{"prompt": "p", "scores": {"a": 1}}\n{"prompt": "q", "scores": {"a": 1}}]', 2, "comma"),
        ('[{"prompt": "p", "scores": {"a": 1}},\n5]', 2, "not a JSON object"),
        ('[{"prompt": "p", "scores": {"a": 1}}\n', 2, "no end"),
        ('[{"prompt": "p", "scores": {"a": 1}}] [1]', 1, "after the end"),
        ('[{"prompt": "p", "scores": {"a": 1}},\n{"prompt": "q", "scores": {"a": NaN}}]', 2, "NaN"),
    ],
)
def test_a_mistake_in_a_json_array_is_named_by_its_line(tmp_path: Path, text: str, line: int, what: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read(tmp_path / "a.json", text.encode())
    assert what in refused.value.message
    assert f"a.json line {line}: " in refused.value.message


def test_an_array_of_several_chunks_is_read_value_by_value(tmp_path: Path) -> None:
    rows = [{"prompt": f"{i} " + "ü" * 300_000, "scores": {"a": 1}} for i in range(12)]
    found = read(tmp_path / "a.json", json.dumps(rows, indent=1, ensure_ascii=False).encode())
    assert [row[0] for row in found] == [row["prompt"] for row in rows]
    assert [row[3] for row in found] == [2 + 6 * i for i in range(12)]
