"""The page about descriptors, made from the registry: one table a group, in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.specs import GROUP_NAMES, GroupName
from tasks.descriptors.keys import GROUP_VERSIONS, registry

if TYPE_CHECKING:
    from tasks.descriptors.registry.base import Descriptor

ABOUT: dict[GroupName, str] = {
    "local": "What the ion's nearest neighbours look like at the initial, transition and final states, the "
    "window that it squeezes through, and what the relaxation said of the path. A vector.",
    "profile": "What the ion sees at each of the evenly spaced points of its path. An image of channels by "
    "positions, which the network convolves; it reverses along its last axis when the hop is reversed.",
    "topology": "Persistent homology of the clouds of atoms around the path. A vector.",
    "chemistry": "Which ion moves, in what composition, and how charges and sizes are spread. A vector.",
}

HEAD = """# Descriptors

What a barrier model is given of a hop, as the registry has it. This page is what this prints:

```
lihop data descriptors --markdown
```

Every value is the same for a crystal that is shifted, rotated, reflected, described in another lattice, in
another order of its sites or as a supercell, and for the reversed hop. What does not exist for a hop, or is
unknown, is NaN, and a model masks it. A group's version is part of the keys under which results are recorded.
"""


def descriptor_page() -> str:
    """Return the registry as a page in Markdown: a section and a table a group."""
    groups = registry()
    total = sum(len(found) for found in groups.values())
    counts = ", ".join(f"`{group}` {len(groups[group])}" for group in GROUP_NAMES)
    parts = [HEAD, f"{total} descriptors: {counts}.\n"]
    for group in GROUP_NAMES:
        parts.append(f"## `{group}`, version {GROUP_VERSIONS[group]}\n\n{ABOUT[group]}\n")
        parts.append("| key | shape | unit | meaning | reference |\n|---|---|---|---|---|")
        parts += [_line(descriptor) for descriptor in groups[group]]
        parts.append("")
    return "\n".join(parts)


def _line(descriptor: Descriptor) -> str:
    """Return a row of the table."""
    shape = "number" if descriptor.shape == () else " by ".join(str(n) for n in descriptor.shape)
    doi = descriptor.reference
    link = "" if doi is None else f"[{doi}](https://doi.org/{doi})"
    return f"| `{descriptor.key}` | {shape} | {descriptor.unit} | {descriptor.meaning} | {link} |"
