"""A checkpoint: a trained, calibrated ensemble as a folder of safetensors and JSON, never a pickle."""

from __future__ import annotations

import hashlib
import importlib.resources
import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from models.arrays import Inputs, check_inputs, id_digest
from models.calibration import Calibration
from models.card import render_card
from models.domain import Domain
from models.ensemble import Ensemble, log_mean_and_spread
from models.errors import CheckpointError, SeenRowsError, VersionError
from models.networks import build_network
from models.predictor import Predictions
from models.settings import LATER_FIELDS, TrainSettings
from models.specs import InputSpec
from models.standardise import Standardiser
from models.trees import TreeEnsemble

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

FORMAT = 1
JSON_NAME = "model.json"
WEIGHTS_NAME = "weights.safetensors"
CARD_NAME = "MODEL_CARD.md"
_DOMAIN_POINTS = "domain.points"
_TREES = "trees."


class Manifest(BaseModel):
    """What ``model.json`` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: int
    name: str
    digest: str
    settings: TrainSettings
    spec: InputSpec
    standardiser: dict[str, Any]
    calibration: Calibration
    domain_threshold: float
    domain_neighbours: int
    trained_on: str
    n_training_hops: int
    training_id_digests: tuple[str, ...]
    code_version: str
    metrics: dict[str, Any]

    @model_validator(mode="before")
    @classmethod
    def _settings_of_old(cls, data: Any) -> Any:  # noqa: ANN401 - whatever the JSON holds
        # Settings had no groups before there was a choice: the specification says what they were.
        try:
            groups = [group["name"] for group in data["spec"]["groups"]]
            return {**data, "settings": {**LATER_FIELDS, "groups": groups, **data["settings"]}}
        except (KeyError, TypeError):
            return data  # what is wrong with it is said by the fields

    @model_validator(mode="after")
    def _groups_agree(self) -> Manifest:
        if set(self.settings.groups) != set(self.spec.names()):
            raise ValueError(
                f"settings name the descriptor groups {list(self.settings.groups)}, the specification holds "
                f"{list(self.spec.names())}"
            )
        return self


@dataclass(frozen=True)
class Checkpoint:
    """A predictor of barriers with everything that it needs to be used, judged and cited.

    Attributes
    ----------
    ensemble : Ensemble
        The networks and their standardiser.
    calibration : Calibration
        Makes intervals of predictions; also holds ``hop_residual_log_std`` and
        ``material_residual_log_std``, which joint draws over a material's hops take.
    domain : Domain
        The training hops as points.
    name, trained_on, code_version : str
        For people.
    training_id_digests : frozenset of str
        SHA-256 of the id of each training row.
    metrics : dict
        What was measured, for the card; not part of the digest.
    """

    ensemble: Ensemble
    calibration: Calibration
    domain: Domain
    name: str
    trained_on: str
    training_id_digests: frozenset[str]
    code_version: str
    metrics: dict[str, Any] = field(default_factory=dict)

    @property
    def spec(self) -> InputSpec:
        """The descriptor groups it takes."""
        return self.ensemble.spec

    @property
    def settings(self) -> TrainSettings:
        """What it was trained with."""
        return self.ensemble.settings

    @cached_property
    def digest(self) -> str:
        """SHA-256 over everything that predictions depend on, and the rows that it has seen."""
        digest = hashlib.sha256()
        digest.update(json.dumps(self._identity(), sort_keys=True).encode())
        for name, tensor in sorted(self._tensors().items()):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()

    def predict(self, inputs: Inputs, *, accelerator: str = "auto", progress: bool = False) -> Predictions:
        """Predict barriers with intervals by Lightning's ``Trainer.predict``.

        Parameters
        ----------
        inputs : mapping of str to ndarray
            One array a descriptor group, ``(n, *shape)``; NaN where a descriptor does not exist.
        accelerator : str
            Lightning's name of the device.
        progress : bool
            Whether to show a progress bar.

        Raises
        ------
        InputError
            If a group of ``spec`` is missing or of another shape. Other descriptor groups are left aside.
        """
        members = self.ensemble.member_log_barriers(inputs, accelerator=accelerator, progress=progress)
        return self._complete(inputs, members)

    def predict_plain(self, inputs: Inputs) -> Predictions:
        """Predict the same by a plain forward pass on the CPU, without Lightning."""
        return self._complete(inputs, self.ensemble.plain_log_barriers(inputs))

    def _complete(self, inputs: Inputs, members: NDArray[np.float64]) -> Predictions:
        mean, spread = log_mean_and_spread(members)
        lower, upper = self.calibration.interval_ev(mean, spread)
        z_scores = self.ensemble.standardiser.z_scores(check_inputs(inputs, self.spec))
        distance = self.domain.distance(z_scores)
        return Predictions(
            barrier_ev=np.exp(mean),
            log_spread=spread,
            member_barriers_ev=np.exp(members),
            lower_ev=lower,
            upper_ev=upper,
            in_domain=distance <= 1.0,
            domain_distance=distance,
        )

    def refuse_seen(self, ids: Iterable[str]) -> None:
        """Raise ``SeenRowsError`` if any of the rows was trained on."""
        seen = [identifier for identifier in ids if id_digest(identifier) in self.training_id_digests]
        if seen:
            raise SeenRowsError(
                f"checkpoint {self.name!r} was trained on {len(seen)} of these rows, e.g. {seen[:3]}; judge "
                "it on rows it has not seen, or refit its recipe without them by `lihop evaluate --split "
                "grouped`"
            )

    def check_spec(self, spec: InputSpec) -> None:
        """Raise ``VersionError`` if the descriptors at hand are not those that it was trained on.

        Groups that it does not take may be of any version, or absent.
        """
        theirs = spec.versions()
        for name, version in sorted(self.spec.versions().items()):
            if theirs.get(name) != version:
                raise VersionError(
                    f"checkpoint {self.name!r} needs descriptor group {name!r} in version "
                    f"{version}, at hand is {theirs.get(name)}; use a checkpoint for these "
                    "descriptors, or train one with `lihop train`"
                )
        at_hand = {group.name: group for group in spec.groups}
        changed = [group.name for group in self.spec.groups if group != at_hand[group.name]]
        if changed:
            raise VersionError(
                f"checkpoint {self.name!r} knows other keys, shapes or order in the groups {changed} under "
                "the same version; raise the group's version, then train a checkpoint with `lihop train`"
            )

    def with_metrics(self, name: str, metrics: Mapping[str, Any]) -> Checkpoint:
        """Return the checkpoint with one more set of measured figures; its digest stays."""
        return replace(self, metrics={**self.metrics, name: dict(metrics)})

    def save(self, path: Path) -> None:
        """Write the folder under a temporary name, then move it into place, replacing what was there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        try:
            manifest = self.manifest()
            _write(temporary / WEIGHTS_NAME, save_tensors(self._tensors()))
            _write(temporary / JSON_NAME, (manifest.model_dump_json(indent=1) + "\n").encode())
            _write(temporary / CARD_NAME, render_card(manifest.model_dump(mode="json")).encode())
            temporary.chmod(0o755)
            if path.exists():
                replaced = Path(tempfile.mkdtemp(prefix=f".{path.name}-old-", dir=path.parent))
                path.rename(replaced / path.name)
                temporary.rename(path)
                shutil.rmtree(replaced)
            else:
                temporary.rename(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def manifest(self) -> Manifest:
        """Return what ``model.json`` holds."""
        return Manifest(
            format=FORMAT,
            name=self.name,
            digest=self.digest,
            trained_on=self.trained_on,
            n_training_hops=len(self.domain.points),
            code_version=self.code_version,
            metrics=self.metrics,
            calibration=self.calibration,
            settings=self.settings,
            spec=self.spec,
            standardiser=self.ensemble.standardiser.to_dict(),
            domain_threshold=self.domain.threshold,
            domain_neighbours=self.domain.neighbours,
            training_id_digests=tuple(sorted(self.training_id_digests)),
        )

    def _identity(self) -> dict[str, Any]:
        return {
            "settings": self.settings.identity(),
            "spec": self.spec.model_dump(mode="json"),
            "standardiser": self.ensemble.standardiser.to_dict(),
            "calibration": self.calibration.model_dump(mode="json"),
            "domain": [self.domain.threshold, self.domain.neighbours],
            "training": sorted(self.training_id_digests),
        }

    def _tensors(self) -> dict[str, Tensor]:
        tensors = {_DOMAIN_POINTS: torch.from_numpy(self.domain.points)}
        if self.ensemble.trees is not None:
            found = self.ensemble.trees.tensors()
            tensors |= {f"{_TREES}{name}": value.contiguous() for name, value in found.items()}
        for index, member in enumerate(self.ensemble.members):
            for name, value in member.state_dict().items():
                tensors[f"member.{index}.{name}"] = value.detach().cpu().contiguous()
        return tensors


def load(path: Path, *, expected: InputSpec | None = None) -> Checkpoint:
    """Read a checkpoint folder.

    Parameters
    ----------
    path : Path
        The folder.
    expected : InputSpec, optional
        The descriptors at hand; a checkpoint for others is refused.

    Raises
    ------
    CheckpointError
        If something is missing, damaged or of an unknown format.
    VersionError
        If it was trained on other descriptors than ``expected``.
    """
    manifest = _read_manifest(path)
    tensors = _read_weights(path)
    try:
        checkpoint = _assemble(manifest, tensors)
    except (KeyError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{path}: weights and {JSON_NAME} do not fit together ({error})") from error
    if checkpoint.digest != manifest.digest:
        raise CheckpointError(
            f"{path} is damaged or was edited: its contents have digest {checkpoint.digest[:12]}, it says "
            f"{manifest.digest[:12]}; get a fresh copy or train it again"
        )
    if expected is not None:
        checkpoint.check_spec(expected)
    return checkpoint


def load_pretrained(name: str = "published", *, expected: InputSpec | None = None) -> Checkpoint:
    """Read a checkpoint that ships with the package, by name."""
    folder = importlib.resources.files("models") / "pretrained" / name
    with importlib.resources.as_file(folder) as path:
        if not (path / JSON_NAME).is_file():
            shipped = sorted(entry.parent.name for entry in path.parent.glob(f"*/{JSON_NAME}"))
            raise CheckpointError(f"no shipped checkpoint is called {name!r}; there are {shipped}")
        return load(path, expected=expected)


def _assemble(manifest: Manifest, tensors: dict[str, Tensor]) -> Checkpoint:
    standardiser = Standardiser.from_dict(manifest.standardiser)
    # What trees and distances take is put together in this order, which JSON does not keep for sure.
    ordered = {str(name): standardiser.groups[name] for name in manifest.spec.names()}
    standardiser = replace(standardiser, groups=ordered)
    sizes = standardiser.sizes(manifest.spec)
    points = tensors.pop(_DOMAIN_POINTS).numpy()
    kept = {name: tensors.pop(name) for name in [*tensors] if name.startswith(_TREES)}
    trees = None
    if manifest.settings.trees:
        named = {name.removeprefix(_TREES): tensor for name, tensor in kept.items()}
        trees = TreeEnsemble.from_tensors(named, n_features=_tree_width(manifest.spec, sizes))
    states: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        _, member, key = name.split(".", maxsplit=2)
        states.setdefault(int(member), {})[key] = tensor
    members = []
    # Building draws initial weights; they are overwritten, and the caller's random state must not move.
    with torch.random.fork_rng(devices=[]):
        for index in range(manifest.settings.members):
            network = build_network(sizes, manifest.settings)
            network.load_state_dict(states[index])
            members.append(network.eval())
    return Checkpoint(
        ensemble=Ensemble(tuple(members), standardiser, manifest.spec, manifest.settings, trees),
        calibration=manifest.calibration,
        domain=Domain(points, manifest.domain_threshold, manifest.domain_neighbours),
        name=manifest.name,
        trained_on=manifest.trained_on,
        training_id_digests=frozenset(manifest.training_id_digests),
        code_version=manifest.code_version,
        metrics=manifest.metrics,
    )


def _tree_width(spec: InputSpec, sizes: Mapping[str, tuple[int, ...]]) -> int:
    """Return how many numbers trees take of a hop: three of each channel of an image."""
    return sum(sizes[group.name][0] * (3 if len(group.shape) > 1 else 1) for group in spec.groups)


def _read_manifest(path: Path) -> Manifest:
    file = path / JSON_NAME
    if not file.is_file():
        raise CheckpointError(f"{path} is no checkpoint: it has no {JSON_NAME}; give a checkpoint's folder")
    try:
        data = json.loads(file.read_bytes())
    except ValueError as error:
        raise CheckpointError(f"{file} is not JSON ({error}); get a fresh copy") from error
    found = data.get("format") if isinstance(data, dict) else None
    if found != FORMAT:
        raise CheckpointError(f"{file} has format {found}, this version reads {FORMAT}; update lihop")
    try:
        return Manifest.model_validate(data)
    except ValidationError as error:
        raise CheckpointError(f"{file} does not hold what a checkpoint needs: {error}") from error


def _read_weights(path: Path) -> dict[str, Tensor]:
    file = path / WEIGHTS_NAME
    if not file.is_file():
        raise CheckpointError(f"{path} has no {WEIGHTS_NAME}; only safetensors are read, never a pickle")
    try:
        tensors: dict[str, Tensor] = load_tensors(file.read_bytes())
    except SafetensorError as error:
        raise CheckpointError(f"{file} is no whole safetensors file ({error}); get a fresh copy") from error
    return tensors


def _write(file: Path, content: bytes) -> None:
    with file.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
