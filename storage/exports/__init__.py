"""Exports: answers, tables, structures and paths as files or as objects of other libraries."""
