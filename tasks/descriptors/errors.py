"""The errors that the descriptors package raises: what was given, what is allowed, what to do."""

from __future__ import annotations


class DescriptorError(ValueError):
    """A hop cannot be described, or a descriptor that does not exist was asked for."""
