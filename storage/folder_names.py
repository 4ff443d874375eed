"""What a results folder may be called: a path, or the URI of a store, without a secret in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from storage.errors import FolderError

CREDENTIALS = (
    "credentials come from the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, "
    "GOOGLE_APPLICATION_CREDENTIALS, AZURE_*) or from the machine's role"
)
_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/(/?)")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_HOST = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?")
# Of Azure the container, of HDFS the user comes before the host; neither is a secret, and no colon is in it.
_NAMED_HOST = re.compile(r"([A-Za-z0-9$._-]+@)?[A-Za-z0-9._-]+(:[0-9]{1,5})?")
_NAMED_HOST_OR_NONE = re.compile(rf"({_NAMED_HOST.pattern})?")
# Wherever the at stands: keys may hold slashes, behind which they would pass for a path.
_ASKED_BY = re.compile(r"://[^@]*:[^@]*@")
_ENDPOINT = re.compile(rf"(https?://)?{_HOST.pattern}/?")


@dataclass(frozen=True)
class _Kind:
    """What a URI of one scheme looks like: what comes before its path, and which options it may have."""

    server: re.Pattern[str]
    options: tuple[str, ...]
    example: str


_S3 = _Kind(
    _BUCKET,
    ("endpoint_override", "force_virtual_addressing", "region", "scheme", "tls_ca_file_path"),
    "s3://bucket/prefix?region=eu-west-1",
)
_GCS = _Kind(
    _BUCKET, ("endpoint_override", "project_id", "retry_limit_seconds", "scheme"), "gs://bucket/prefix"
)
_AZURE = _Kind(
    _NAMED_HOST,
    (
        "blob_storage_authority", "blob_storage_scheme", "client_id", "credential_kind",
        "dfs_storage_authority", "dfs_storage_scheme", "enable_tls", "tenant_id",
    ),
    "abfs://container@account.dfs.core.windows.net/prefix",
)  # fmt: skip
_HDFS = _Kind(_NAMED_HOST_OR_NONE, ("kerb_ticket", "replication", "user"), "hdfs://host:8020/folder")
_FILE = _Kind(re.compile(r"(localhost)?"), (), "file:///folder")

KINDS = {
    "s3": _S3, "gs": _GCS, "gcs": _GCS, "abfs": _AZURE, "abfss": _AZURE, "hdfs": _HDFS, "viewfs": _HDFS,
    "file": _FILE,
}  # fmt: skip
"""The schemes of a results folder, each with what its URI may hold."""

PATTERN = r"^(?![A-Za-z][A-Za-z0-9+.-]*://[^@]*:[^@]*@)(?!.*[?&][^=&]*([Kk]ey|[Ss]ecret|[Tt]oken|[Pp]assword)[^=&]*=)"
"""What forms ask of a folder before a run exists: neither user:password nor a key among the options."""


def normalised(text: str) -> str:
    """Return the one way in which a folder is written: an absolute path, or a URI.

    Parameters
    ----------
    text : str
        What somebody gave.

    Raises
    ------
    FolderError
        When it is neither a path nor a URI that is allowed. What may be a secret is not repeated.
    """
    if not text.strip():
        raise FolderError(f"the results folder is empty; give a path or a URI: {_examples()}")
    found = _URI.match(text)
    if found is None:
        return str(Path(text).expanduser().absolute())
    scheme = found.group(1).lower()
    kind = KINDS.get(scheme)
    if kind is None or not found.group(2):
        raise FolderError(f"{scheme!r} is no kind of results folder; give a path or a URI: {_examples()}")
    server, path, options = _parts(text, scheme, kind)
    if scheme == "file":
        return str(Path(path).absolute())
    asked = f"?{urlencode(sorted(options.items()), safe=':/')}" if options else ""
    return f"{scheme}://{server}{path.rstrip('/')}{asked}"


def is_remote(folder: str) -> bool:
    """Tell whether a folder or a file in one is named by a URI."""
    return "://" in folder


def joined(folder: str, name: str) -> str:
    """Return a folder or a file within a remote folder."""
    path, asked, options = folder.partition("?")
    return f"{path}/{quote(name)}{asked}{options}"


def options_of(folder: str) -> dict[str, str]:
    """Return the options of a remote folder."""
    return dict(parse_qsl(urlsplit(folder).query))


def _parts(text: str, scheme: str, kind: _Kind) -> tuple[str, str, dict[str, str]]:
    """Return server, path and options of a URI. No message repeats it: a secret may stand anywhere in it."""
    try:
        parts = urlsplit(text)
    except ValueError:
        # Its own message would repeat it.
        raise FolderError(f"the results folder is no {scheme} URI; one looks like {kind.example}") from None
    if kind.server.fullmatch(parts.netloc) is None or _ASKED_BY.search(text):
        if "@" in text or ":" in parts.netloc:
            raise FolderError(
                f"the {scheme} URI of the results folder holds a user, a key or a password; leave it out, "
                f"as in {kind.example}: {CREDENTIALS}"
            )
        raise FolderError(f"the {scheme} URI of the results folder names no bucket or host; it looks like "
                          f"{kind.example}")  # fmt: skip
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.fragment or not options.keys() <= set(kind.options):
        allowed = ", ".join(kind.options) if kind.options else "none"
        raise FolderError(
            f"the {scheme} URI of the results folder has options that are not allowed; allowed: {allowed}. "
            f"Keys and passwords are not: {CREDENTIALS}"
        )
    endpoint = options.get("endpoint_override")
    if endpoint is not None and _ENDPOINT.fullmatch(endpoint) is None:
        raise FolderError(
            "endpoint_override of the results folder is not allowed; give host:port and nothing else, as in "
            f"127.0.0.1:9000: {CREDENTIALS}"
        )
    return parts.netloc, unquote(parts.path) if scheme == "file" else parts.path, options


def _examples() -> str:
    return ", ".join(dict.fromkeys(kind.example for kind in KINDS.values()))
