"""Tables with a structure a row, as candidates: CSV and Parquet, whole, by rows, and bad in every way."""

from __future__ import annotations

import csv
import json
import pickle
from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter

from storage.records import Reason
from tasks.candidates import files_tables
from tasks.candidates.files import FilesSource
from tasks.candidates.source import EmptySourceError, RawMaterial, Rejected, RejectedError, SourceError
from tasks.limits import TimeLimitError

if TYPE_CHECKING:
    from pathlib import Path


def rock_salt(edge_ang: float = 4.0) -> Structure:
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(edge_ang), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


@cache
def cif(edge_ang: float = 4.0) -> str:
    return str(CifWriter(rock_salt(edge_ang)))


def rows_of(n: int) -> list[dict[str, object]]:
    """Return rows whose crystals differ, with an edge that tells which is which."""
    return [
        {
            "Material_ID": f"m-{k}",
            "note": 'with, commas and "quotes"\nand lines',
            "cif": cif(4.0 + k / 100),
            "e_above_hull_ev": k / 1000,
            "average_voltage_v": None if k % 2 else 3.5,
        }
        for k in range(n)
    ]


def write_csv(path: Path, rows: list[dict[str, object]], encoding: str = "utf-8") -> Path:
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_parquet(path: Path, rows: list[dict[str, object]], group: int = 1000) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=group)
    return path


def read_all(source: FilesSource) -> list[RawMaterial | Rejected]:
    # Items travel to other processes, so as they arrive there.
    return [one for item in source.items() for one in pickle.loads(pickle.dumps(source)).read(item)]


@pytest.fixture
def few_rows_an_item(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_tables, "ROWS_AN_ITEM", 3)


@pytest.mark.parametrize("group", [1000, 4, 1])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.usefixtures("few_rows_an_item")
def test_rows_are_those_written_whatever_the_items(tmp_path: Path, suffix: str, group: int) -> None:
    rows = rows_of(8)
    path = tmp_path / f"table{suffix}"
    if suffix == ".csv":
        write_csv(path, rows)
    else:
        write_parquet(path, rows, group)
    source = FilesSource(str(path))
    items = source.items()
    assert len(items) > 1
    assert len({item.digest for item in items}) == len(items)
    found = read_all(source)
    assert [one.material_id for one in found] == [f"m-{k}" for k in range(8)]
    for k, one in enumerate(found):
        assert isinstance(one, RawMaterial)
        assert one.structure.lattice.a == pytest.approx(4.0 + k / 100)
        assert one.source_ref == f"{path.name}#{k + 1}"
        assert one.e_above_hull_ev == pytest.approx(k / 1000)
        assert one.average_voltage_v == (None if k % 2 else 3.5)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.usefixtures("few_rows_an_item")
def test_items_are_read_in_any_order(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    (write_csv if suffix == ".csv" else write_parquet)(path, rows_of(8))
    source = FilesSource(str(path))
    items = source.items()
    for k in (2, 0, 0, 1, 2):
        expected = [f"m-{row}" for row in range(3 * k, min(3 * k + 3, 8))]
        assert [one.material_id for one in source.read(items[k])] == expected


@pytest.mark.usefixtures("few_rows_an_item")
def test_reading_that_was_cut_off_leaves_no_wrong_place_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = FilesSource(str(write_parquet(tmp_path / "t.parquet", rows_of(8))))
    items = source.items()
    source.read(items[0])
    batches = files_tables._Cursor.take

    def cut(cursor: files_tables._Cursor, skip: int, count: int) -> list:
        batches(cursor, skip, count)
        raise TimeLimitError("too long")

    with monkeypatch.context() as patched:
        patched.setattr(files_tables._Cursor, "take", cut)
        with pytest.raises(TimeLimitError):
            source.read(items[1])
    for k in (1, 2):
        expected = [f"m-{row}" for row in range(3 * k, min(3 * k + 3, 8))]
        assert [one.material_id for one in source.read(items[k])] == expected


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_that_lost_rows_since_it_was_listed_says_so(tmp_path: Path, suffix: str) -> None:
    write = write_csv if suffix == ".csv" else write_parquet
    source = FilesSource(str(write(tmp_path / f"t{suffix}", rows_of(3))))
    (item,) = source.items()
    write(tmp_path / f"t{suffix}", rows_of(2))
    with pytest.raises(RejectedError, match="2 of 3 rows that were there"):
        source.read(item)


@pytest.mark.usefixtures("few_rows_an_item")
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_changed_row_changes_its_item_alone(tmp_path: Path, suffix: str) -> None:
    write = write_csv if suffix == ".csv" else write_parquet
    rows = rows_of(6)
    before = FilesSource(str(write(tmp_path / f"t{suffix}", rows))).items()
    rows[4] = {**rows[4], "cif": cif(5.0)}
    after = FilesSource(str(write(tmp_path / f"t{suffix}", rows))).items()
    same = [one.digest == other.digest for one, other in zip(before, after, strict=True)]
    assert same == [True, False]


def test_without_ids_a_row_is_called_by_its_place(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", [{"structure": json.dumps(rock_salt().as_dict())}, {"structure": cif()}])
    found = read_all(FilesSource(str(tmp_path)))
    assert [one.material_id for one in found] == ["t.csv#1", "t.csv#2"]
    assert all(isinstance(one, RawMaterial) for one in found)


def test_a_bom_and_blank_lines_are_no_matter(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", [{"cif": cif()}, {"cif": cif()}], encoding="utf-8-sig")
    path.write_bytes(path.read_bytes() + b"\r\n\n\n")
    assert [one.material_id for one in read_all(FilesSource(str(path)))] == ["t.csv#1", "t.csv#2"]


def test_a_structure_may_be_an_object_of_parquet(tmp_path: Path) -> None:
    sites = [
        {"species": [{"element": s.specie.symbol, "occu": 1.0}], "abc": list(s.frac_coords)}
        for s in rock_salt()
    ]
    entry = {"lattice": {"matrix": rock_salt().lattice.matrix.tolist()}, "sites": sites}
    write_parquet(tmp_path / "t.parquet", [{"structure": entry}])
    (found,) = read_all(FilesSource(str(tmp_path)))
    assert isinstance(found, RawMaterial)
    assert found.structure == rock_salt()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"cif": "data_x\n_cell_length_a 4.0\n"}, "cannot be read"),
        ({"cif": ""}, "the cell is empty"),
        ({"cif": "not a structure"}, "holds 0 structures"),
        ({"cif": cif() + cif()}, "holds 2 structures"),
        ({"cif": "{"}, "cannot be read"),
        ({"e_above_hull_ev": "low"}, "e_above_hull_ev: 'low' is not a number"),
        ({"average_voltage_v": "inf"}, "average_voltage_v: inf is not finite"),
    ],
)
def test_a_bad_row_costs_no_other(tmp_path: Path, suffix: str, change: dict[str, str], cause: str) -> None:
    rows = [{key: None if value is None else str(value) for key, value in row.items()} for row in rows_of(3)]
    rows[1] = {**rows[1], **change}
    (write_csv if suffix == ".csv" else write_parquet)(tmp_path / f"t{suffix}", rows)
    first, bad, third = read_all(FilesSource(str(tmp_path)))
    assert isinstance(first, RawMaterial)
    assert isinstance(third, RawMaterial)
    assert isinstance(bad, Rejected)
    assert (bad.material_id, bad.error.reason) == ("m-1", Reason.UNREADABLE_FILE)
    assert cause in str(bad.error)
    assert f"t{suffix}#2" in str(bad.error)


@pytest.mark.parametrize("empty", ["", "nan", "None", " "])
def test_an_empty_cell_is_unknown_and_not_zero(tmp_path: Path, empty: str) -> None:
    write_csv(tmp_path / "t.csv", [{"cif": cif(), "material_id": empty, "e_above_hull_ev": empty}])
    (found,) = read_all(FilesSource(str(tmp_path)))
    assert isinstance(found, RawMaterial)
    assert (found.material_id, found.e_above_hull_ev) == ("t.csv#1", None)


def test_zero_above_the_hull_is_zero(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", [{"cif": cif(), "e_above_hull_ev": 0.0}])
    (found,) = read_all(FilesSource(str(tmp_path)))
    assert isinstance(found, RawMaterial)
    assert found.e_above_hull_ev == 0.0


def test_a_row_with_other_cells_than_the_header_costs_no_other(tmp_path: Path) -> None:
    quoted = '"' + cif().replace('"', '""') + '"'
    (tmp_path / "t.csv").write_text(f"cif,material_id\n{quoted},a\n{quoted},b,c\n{quoted},d\n")
    first, bad, third = read_all(FilesSource(str(tmp_path)))
    assert (first.material_id, bad.material_id, third.material_id) == ("a", "t.csv#2", "d")
    assert isinstance(bad, Rejected)
    assert "3 cells and the header 2" in str(bad.error)


def test_an_open_quote_is_one_row_for_the_rest(tmp_path: Path) -> None:
    quoted = '"' + cif().replace('"', '""') + '"'
    (tmp_path / "t.csv").write_text(f'cif,material_id\n{quoted},a\n"cut off,b\n')
    first, bad = read_all(FilesSource(str(tmp_path)))
    assert isinstance(first, RawMaterial)
    assert isinstance(bad, Rejected)
    assert "neither this row nor what follows" in str(bad.error)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_cell_over_the_limit_is_refused(tmp_path: Path, suffix: str) -> None:
    rows = [{"cif": cif()}, {"cif": cif() + "#" * 30_000}]
    (write_csv if suffix == ".csv" else write_parquet)(tmp_path / f"t{suffix}", rows)
    good, bad = read_all(FilesSource(str(tmp_path), max_file_mb=0.01))
    assert isinstance(good, RawMaterial)
    assert isinstance(bad, Rejected)
    assert "raise --max-file-mb" in str(bad.error)


@pytest.mark.parametrize("inside", ["#" * 15_000, "#\n" * 7_500])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_cell_over_the_limit_is_another_item_under_another_limit(
    tmp_path: Path, suffix: str, inside: str
) -> None:
    rows = [{"cif": cif(), "material_id": "a"}, {"cif": cif() + inside, "material_id": "b"}]
    (write_csv if suffix == ".csv" else write_parquet)(tmp_path / f"t{suffix}", rows)
    sources = [FilesSource(str(tmp_path), max_file_mb=limit) for limit in (0.01, 0.012, 0.03, 0.04)]
    low, higher, enough, more = (source.items()[0].digest for source in sources)
    assert len({low, higher, enough}) == 3
    # What is read whole is the same item whatever the limit, and is not read again.
    assert enough == more
    assert [isinstance(row, RawMaterial) for row in read_all(sources[1])] == [True, False]
    assert [isinstance(row, RawMaterial) for row in read_all(sources[2])] == [True, True]


def test_a_cell_over_pythons_own_limit_is_read_and_the_limit_left_as_it_was(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    write_csv(tmp_path / "t.csv", [{"cif": cif() + "\n#" + "x" * before}])
    (found,) = read_all(FilesSource(str(tmp_path)))
    assert isinstance(found, RawMaterial)
    assert csv.field_size_limit() == before


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_without_structures_names_its_columns_and_the_allowed(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    (write_csv if suffix == ".csv" else write_parquet)(path, [{"formula": "LiF", "crystal": "x"}])
    with pytest.raises(SourceError, match=r"'formula', 'crystal'; one must be named cif or structure"):
        FilesSource(str(path)).items()
    # In a folder it is a row among others, and costs them nothing.
    CifWriter(rock_salt()).write_file(tmp_path / "a.cif")
    source = FilesSource(str(tmp_path))
    good, bad = source.items()
    assert len(source.read(good)) == 1
    with pytest.raises(ValueError, match="'crystal'"):
        source.read(bad)


def test_broken_parquet_is_an_error_that_says_so(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "t.parquet", rows_of(2))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SourceError, match="cannot be read as Parquet"):
        FilesSource(str(path)).items()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_without_rows_is_empty(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    if suffix == ".csv":
        path.write_text("cif,material_id\n")
    else:
        pq.write_table(pa.table({"cif": pa.array([], pa.string())}), path)
    with pytest.raises(EmptySourceError):
        FilesSource(str(path)).items()
