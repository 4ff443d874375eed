"""How tests ask the protocol server: with the real client, and with plain requests."""

from __future__ import annotations

import requests
from emmet.core.types.typing import format_identifier

from tests.servers.materials_project import KEY

SLIM = ["material_id", "last_updated"]
ALL = (0.0, 100.0)


def normal(ids):
    """Return identifiers in their normal spelling."""
    return [format_identifier(one, legacy=False) for one in ids]


def summaries(client, **query):
    """Return the ids that the client's search for summaries finds; all of them without a query."""
    query = {"energy_above_hull": ALL, "fields": SLIM} | query
    return normal(one["material_id"] for one in client.materials.summary.search(**query))


def get(server, path="materials/summary/", key=KEY, timeout=10.0, **params):
    """Return status, headers and body of one plain request."""
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(
            server.endpoint + path, params=params, headers={"x-api-key": key} if key else {}, timeout=timeout
        )
        return answer.status_code, answer.headers, answer.content
