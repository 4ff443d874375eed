"""The `lihop` command."""
