"""The database behind the protocol server: materials made from their number, and what happens to them."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from emmet.core.types.typing import format_identifier

from tests.servers.material import Facts, Material
from tests.servers.prototypes import decorations

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST_NUMBER, STRIDE = 22_526, 13
"""Materials Project numbers: LiCoO2's, then every thirteenth; the gaps leave room for ids that drift."""

WRAP = 1.03
"""Linear factor on the cell each time the choices of metals have been gone through."""

Spelling = Literal["legacy", "alpha", "mixed"]
Change = Literal["structure", "metadata", "battery"]


@dataclass
class World:
    """So many materials, the same for the same seed; the first n of a larger world are those of a smaller.

    Parameters
    ----------
    materials : int
        How many summary documents, deprecated ones included.
    seed : int
        Of all that is random about them.
    max_sites : int
        Largest primitive cell: 4 to 8 make quick screens, 28 has olivines too.
    db_version : str
        As the heartbeat states it.
    spelling : "legacy", "alpha" or "mixed"
        How identifiers are written: mp-22526, mp-aaaabhik, or each in about half of the documents, where an
        electrode and its material need not agree.
    working_ions : tuple of str
        Gone through by turns: the material's ion, and its electrode's.
    gnome_every, deprecated_every : int
        Every so manieth is one; 0 is none.
    """

    materials: int = 200
    seed: int = 0
    max_sites: int = 28
    db_version: str = "2026.01.15"
    spelling: Spelling = "mixed"
    working_ions: tuple[str, ...] = ("Li",) * 8 + ("Na", "Mg")
    gnome_every: int = 9
    deprecated_every: int = 25
    revision: int = field(default=0, init=False)
    lock: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)
    _facts: list[Facts] = field(default_factory=list, init=False, repr=False)

    def facts(self) -> list[Facts]:
        """Return what the index knows of every material, in the order of the pages; vanished ones too."""
        with self.lock:
            self._facts += [self._made(k) for k in range(len(self._facts), self.materials)]
            return self._facts

    def _made(self, k: int) -> Facts:
        dice = random.Random(f"{self.seed}-{k}")
        choices = decorations(self.max_sites, self.seed)
        wrap, choice = divmod(k, len(choices))
        name, metals = choices[choice]
        gnome = self.gnome_every > 0 and k % self.gnome_every == self.gnome_every - 1
        return Facts(
            number=FIRST_NUMBER + STRIDE * k,
            prototype=name,
            metals=metals,
            ion=self.working_ions[k % len(self.working_ions)],
            scale=WRAP**wrap * dice.uniform(0.995, 1.005),
            e_hull_ev=0.0 if dice.random() < 0.3 else round(dice.expovariate(12.0), 6),
            gap_ev=0.0 if dice.random() < 0.4 else round(dice.uniform(0.1, 5.0), 4),
            voltage_v=round(dice.uniform(1.0, 5.2), 4),
            volume_change=round(dice.uniform(0.0, 0.25), 5),
            stability_charge_ev=round(dice.expovariate(10.0), 6),
            theoretical=gnome or dice.random() < 0.6,
            gnome=gnome,
            deprecated=self.deprecated_every > 0 and k % self.deprecated_every == self.deprecated_every // 2,
            electrode=not gnome,
            alpha=dice.random() < 0.5,
            age_min=dice.randrange(1_000_000),
        )

    def material(self, facts: Facts, kind: str) -> Material:
        """Return the view of a material that documents of a kind are made from."""
        alpha = {"legacy": False, "alpha": True, "mixed": facts.alpha == (kind == "summary")}[self.spelling]
        return Material(facts, self.db_version, alpha=alpha)

    def members(self, kind: str) -> Iterator[Facts]:
        """Yield the materials that have a document of a kind now."""
        for facts in self.facts():
            if not facts.vanished and (kind == "summary" or facts.electrode):
                yield facts

    def ids(self, *, deprecated: bool = False, gnome: bool = False, ion: str | None = None) -> list[str]:
        """Return identifiers in their normal spelling: of materials in use, the others where asked for."""
        return [
            facts.material_id
            for facts in self.members("summary")
            if (deprecated or not facts.deprecated) and (gnome or not facts.gnome)
            if ion in {None, facts.ion}
        ]

    def find(self, material_id: str) -> Facts:
        """Return the facts of a material, however its id is spelled."""
        legacy = str(format_identifier(material_id, legacy=True))
        number = int(legacy.removeprefix("mp-"))
        k, rest = divmod(number - FIRST_NUMBER, STRIDE)
        facts = self.facts()
        if rest or not 0 <= k < len(facts):
            raise KeyError(f"{material_id}: this world has no such material")
        return facts[k]

    def change(self, material_id: str, what: Change = "structure") -> None:
        """Change a material: its structure, only what is said of it, or its battery's id."""
        with self.lock:
            facts = self.find(material_id)
            facts.structure_edits += what == "structure"
            facts.metadata_edits += what == "metadata"
            facts.drifts += what == "battery"
            self.revision += 1

    def remove(self, material_id: str) -> None:
        """Let a material vanish, and its electrode."""
        with self.lock:
            self.find(material_id).vanished = True
            self.revision += 1

    def deprecate(self, material_id: str, *, deprecated: bool = True) -> None:
        """Mark a material as deprecated; its electrode stays, as it does for a while in the real database."""
        with self.lock:
            self.find(material_id).deprecated = deprecated
            self.revision += 1

    def add(self, materials: int) -> None:
        """Let so many new materials appear."""
        with self.lock:
            self.materials += materials
            self.revision += 1

    def release(self, db_version: str | None = None) -> None:
        """State another database version: the given one, or the same with a higher number after it."""
        with self.lock:
            base, _, post = self.db_version.partition(".post")
            self.db_version = db_version or f"{base}.post{int(post or 0) + 1}"
