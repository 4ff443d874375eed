"""The steps of a screening, a sub-package a stage: pure functions over structures and arrays."""
