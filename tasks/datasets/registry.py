"""The data sets that lihop knows: what they are, whose, under which licence, and where files come from."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.datasets.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Mapping

OWN = "own"
OWN_PREFIX = f"{OWN}-"
"""A set of a user's own is named by this and the name it was added under; its folder lies in `own/`."""


@dataclass(frozen=True)
class DataFile:
    """A file of a data set.

    Parameters
    ----------
    name : str
        What it is called here.
    url : str
        Where its authors published it; empty where it cannot be downloaded.
    sha256 : str
        Its checksum; empty where none is known.
    size : int
        Bytes; 0 where unknown.
    needed : bool
        Whether the hops cannot be read without it.
    note : str
        What else is known of it.
    """

    name: str
    url: str = ""
    sha256: str = ""
    size: int = 0
    needed: bool = True
    note: str = ""


@dataclass(frozen=True)
class DataSet:
    """A published data set of labelled hops.

    Parameters
    ----------
    name : str
        What commands call it, and its folder in the data folder.
    title : str
        What it is.
    ions : str
        The ions that move.
    method : str
        How the labels were found.
    licence : str
        Under what terms it may be used, and who says so.
    references : tuple of str
        What to cite: DOI or arXiv number.
    hops : int
        How many there are.
    splits : mapping of str to int
        Hops of each split; 0 where its authors do not say.
    files : tuple of DataFile
        What its folder holds.
    archive : DataFile or None
        A zip file that holds the folder, where it is published as one.
    """

    name: str
    title: str
    ions: str
    method: str
    licence: str
    references: tuple[str, ...]
    hops: int
    splits: Mapping[str, int]
    files: tuple[DataFile, ...]
    archive: DataFile | None = None
    remarks: tuple[str, ...] = field(default=())


_DEVI_FILES = (
    "https://raw.githubusercontent.com/sai-mat-group/predicting-migration-barriers/"
    "8499b819d665160a4d2e95e4895c33e43554ea03/DATA_FILES/MODEL-3-4/RAW/"
)
_LITRAJ_FILES = "https://bs3u.obs.ru-moscow-1.hc.sbercloud.ru/litraj/"
_LITRAJ_LICENCE = "MIT (its repository); structures of the Materials Project, CC BY 4.0"
_LITRAJ_REFERENCES = ("10.1038/s41524-025-01571-z", "10.1063/1.4812323")
_NO_CHECKSUM = "its authors publish no checksum"

# The checksums are those of the files that lihop was developed with. The two JSON files have the size, the
# beginning and the end of the repository's files at the commit that is named; they were not downloaded here.

DEVI2025 = DataSet(
    name="devi2025",
    title="Barriers of the literature, electrodes and electrolytes",
    ions="Li, Ca, Na, Mg, K, Zn, Rb, Al, Sr",
    method="DFT-NEB of the literature, functionals mixed",
    licence="MIT",
    references=("arXiv:2508.06459", "arXiv:2508.06436"),
    hops=619,
    splits={"train": 559, "test": 60},
    files=(
        DataFile(
            "train_5images.json",
            _DEVI_FILES + "RAW-Em-5-images-TRAIN.json",
            "e6d5579769d8ac2bdee2bdf462c5f24b3410779c7a768ed6673f0e47f9865c7c",
            4054304,
        ),
        DataFile(
            "test_5images.json",
            _DEVI_FILES + "RAW-Em-5-images-TEST.json",
            "7e85991d547c7245d7dbccc9c700c3c94bb107d4a59661cffd53de74338a1aee",
            414806,
        ),
        DataFile(
            "tabulation.csv",
            sha256="1de4f38af1feed753601a9d0a4f4ffe20f763f239abc56dfca2dda89269f4f65",
            size=46586,
            needed=False,
            note="made from the authors' spreadsheet TABULATION-GIT-HUB.xlsx; no download",
        ),
        DataFile(
            "peer_test_predictions.csv",
            sha256="b6950c51e810850ac618a31d9ddfbe73d982b40ecdb85cba7d47bee5c8049d97",
            size=4876,
            needed=False,
            note="MODEL-3's predictions for the test split; no download",
        ),
    ),
)

NEBDFT2K = DataSet(
    name="nebDFT2k",
    title="LiTraj: vacancy hops of the Materials Project's crystals",
    ions="Li",
    method="DFT-NEB, PBE",
    licence=_LITRAJ_LICENCE,
    references=_LITRAJ_REFERENCES,
    hops=1681,
    splits={"train": 0, "val": 0, "test": 0},
    files=(DataFile("nebDFT2k_index.csv", note=_NO_CHECKSUM),),
    archive=DataFile("nebDFT2k.zip", _LITRAJ_FILES + "nebDFT2k.zip", note=_NO_CHECKSUM),
)

NEBBVSE122K = DataSet(
    name="nebBVSE122k",
    title="LiTraj: vacancy hops of the Materials Project's crystals, by bond valence",
    ions="Li",
    method="BVSE-NEB",
    licence=_LITRAJ_LICENCE,
    references=_LITRAJ_REFERENCES,
    hops=122421,
    splits={"train": 96849, "val": 12405, "test": 13167},
    files=(
        DataFile("nebBVSE122k_index.csv", needed=False, note=_NO_CHECKSUM),
        *(DataFile(f"nebBVSE122k_{split}.xyz", note=_NO_CHECKSUM) for split in ("train", "val", "test")),
    ),
    archive=DataFile("nebBVSE122k.zip", _LITRAJ_FILES + "nebBVSE122k.zip", note=_NO_CHECKSUM),
)

PUBLISHED: dict[str, DataSet] = {known.name: known for known in (DEVI2025, NEBDFT2K, NEBBVSE122K)}


def places(explicit: str | None = None) -> list[Path]:
    """Return the folders that may hold data sets, in the order in which they are looked at.

    Parameters
    ----------
    explicit : str, optional
        A folder that was asked for: nothing else is looked at then. Else LIHOP_DATA_DIR is, or ./data and
        ../shared/data where that is not set.
    """
    if explicit is not None:
        return [Path(explicit).expanduser()]
    if os.environ.get("LIHOP_DATA_DIR"):
        return [Path(os.environ["LIHOP_DATA_DIR"])]
    return [Path("data"), Path("..") / "shared" / "data"]


def find_folder(name: str, explicit: str | None = None) -> Path | None:
    """Return the folder of a data set with every file that it needs; None where there is none.

    Parameters
    ----------
    name : str
        Name of a published data set, or `own-NAME`.
    explicit : str, optional
        The data set's folder itself, or one that holds it.
    """
    for place in places(explicit):
        inside = place / OWN / name.removeprefix(OWN_PREFIX) if is_own(name) else place / name
        needed = ["dataset.json"] if is_own(name) else [f.name for f in PUBLISHED[name].files if f.needed]
        for folder in (inside, place):
            if all((folder / file).is_file() for file in needed) and (folder == inside or not is_own(name)):
                return folder
    return None


def is_own(name: str) -> bool:
    """Say whether a name is that of a user's own data set."""
    return name.startswith(OWN_PREFIX)


def own_names(explicit: str | None = None) -> list[str]:
    """Return the names of the user's own data sets that are here, sorted."""
    found = {
        f"{OWN_PREFIX}{file.parent.name}"
        for place in places(explicit)
        for file in place.glob(f"{OWN}/*/dataset.json")
        if not file.parent.name.startswith(".")
    }
    return sorted(found)


def require(name: str, explicit: str | None = None) -> Path:
    """Return the folder of a data set.

    Raises
    ------
    DatasetError
        When there is no such data set, or it is not on this machine.
    """
    if name not in PUBLISHED and not is_own(name):
        raise DatasetError(
            f"{name}: there is no such data set; there are "
            f"{', '.join([*PUBLISHED, *own_names(explicit)])}, and own-NAME once it is added"
        )
    folder = find_folder(name, explicit)
    if folder is not None:
        return folder
    looked = ", ".join(str(place) for place in places(explicit))
    if is_own(name):
        have = ", ".join(own_names(explicit))
        raise DatasetError(
            f"No data set {name} in {looked}; of your own there are: {have or 'none'}. Add it with "
            f"lihop data add {name.removeprefix(OWN_PREFIX)}, or give --data-dir."
        )
    needed = " and ".join(file.name for file in PUBLISHED[name].files if file.needed)
    raise DatasetError(
        f"No {name} in {looked}: it needs {needed}. Get it with lihop data fetch {name}, give --data-dir, "
        f"set LIHOP_DATA_DIR, or put the files into data/{name}."
    )


def target_folder(explicit: str | None = None) -> Path:
    """Return the data folder that new files are written to."""
    return places(explicit)[0]
