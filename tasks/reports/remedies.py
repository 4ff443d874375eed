"""What to do about each reason for which something has no result, in a sentence."""

from __future__ import annotations

from storage.records import Reason

REMEDIES = {
    Reason.UNREADABLE_FILE: "Export the file anew, or correct what the message names.",
    Reason.FILE_TOO_LARGE: "Raise the largest file (--max-file-mb).",
    Reason.NO_WORKING_ION: "Nothing, or choose another working ion.",
    Reason.PARTIAL_OCCUPANCY: "Give an ordered structure, or switch on order disorder (--order-disorder).",
    Reason.OVERLAPPING_ATOMS: "Correct the structure.",
    Reason.SINGLE_SITE: "Nothing: with one site there is no host.",
    Reason.NO_ANIONS: "Nothing: barriers are learned from hosts with anions.",
    Reason.DUPLICATE: "Nothing: the material that it is the same as has the result.",
    Reason.TOO_MANY_SITES: "Raise the most sites (--max-sites).",
    Reason.TOO_MANY_HOPS: "Raise the most hops (--max-hops), or lower the hop cutoff (--cutoff-ang).",
    Reason.LIMIT: "Raise the limit (--limit) to screen more.",
    Reason.TIME_LIMIT: "Raise the time limit (--time-limit), and retry time_limit.",
    Reason.NO_HOPS: "Raise the hop cutoff (--cutoff-ang), or take empty sites too (--sites bvse).",
    Reason.MALFORMED_DOCUMENT: "Nothing here: the database's entry is asked for again by the next sync.",
    Reason.VANISHED: "Nothing: its source no longer has it.",
    Reason.WORKER_LOST: "Give the worker more memory, or use fewer workers, and retry worker_lost.",
    Reason.DAMAGED_SHARD: "Look after the disk and the memory, and retry damaged_shard.",
    Reason.UNEXPECTED: "Report it with its traceback (lihop failures --json), or retry unexpected.",
}


def remedy(reason: str) -> str:
    """Return what to do about a reason; nothing is known about one of another version of lihop."""
    known = {one.value: text for one, text in REMEDIES.items()}
    return known.get(reason, "")
