"""Labelled hops: structures, ends and measured or computed barriers."""
