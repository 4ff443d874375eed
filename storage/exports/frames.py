"""Arrow tables as data frames of pandas and polars; null stays null."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from storage.errors import QueryError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

KINDS = ("arrow", "pandas", "polars")


def convert(table: pa.Table, kind: str) -> Any:  # noqa: ANN401 - the kind of table that is asked for
    """Return a table as one of `KINDS`."""
    return {"arrow": lambda same: same, "pandas": to_pandas, "polars": to_polars}[kind](table)


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """Return a table as a pandas data frame.

    Whole numbers and booleans get the dtypes that can be missing (``Int32``, ``boolean``), also where none
    is: otherwise whole numbers with a null among them would become floats, and booleans objects.
    """
    import pandas as pd
    import pyarrow as pa

    missing = {
        pa.bool_(): pd.BooleanDtype(),
        pa.int8(): pd.Int8Dtype(), pa.int16(): pd.Int16Dtype(),
        pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype(),
        pa.uint8(): pd.UInt8Dtype(), pa.uint16(): pd.UInt16Dtype(),
        pa.uint32(): pd.UInt32Dtype(), pa.uint64(): pd.UInt64Dtype(),
    }  # fmt: skip
    return table.to_pandas(types_mapper=missing.get)


def to_polars(table: pa.Table) -> Any:  # noqa: ANN401 - polars need not be there
    """Return a table as a polars data frame.

    Raises
    ------
    QueryError
        When polars is not installed: lihop does not depend on it.
    """
    try:
        import polars as pl
    except ImportError as error:
        raise QueryError(
            "polars is not installed; pip install polars, or ask for pandas or Arrow, which are there"
        ) from error
    return pl.from_arrow(table)
