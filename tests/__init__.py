"""Tests. A regular package, since some distributions install one of that name, which would come first."""
