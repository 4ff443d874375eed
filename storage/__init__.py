"""What remembers: row types, the DuckDB schema, Parquet shards, views, queries and exports."""
