"""An ad hoc run as people start it: the form in the Prefect UI is filled in, and its page shows the rest."""

from __future__ import annotations

import re
import time

import duckdb
import pytest

from flows.orchestration.screening_artifacts import FAILURES, RANKING, SUMMARY
from flows.parameters import ScreenParameters
from tests.browser.conftest import PATIENCE_MS
from tests.servers.workstation import workstation

pytestmark = pytest.mark.slow

LIMIT = 3
RUN_MS = 240_000.0
"""How long a screening of so few materials may take on a busy machine."""

WIDEST_PX = 1400
PRESSES = 5


@pytest.fixture(scope="module")
def served(tmp_path_factory, browser_path):
    with workstation(tmp_path_factory.mktemp("served"), "--no-schedules") as here:
        yield here


def _field(page, name):
    """Return the part of the form that is about one parameter of the screening, by what it says of it."""
    field = ScreenParameters.model_fields[name]
    label = f".schema-form-property__label:text-is('{field.title} (Optional)')"
    titled = page.locator(f".schema-form-property:has(> .p-label__header {label})")
    # Remote databases may have one of the same title: it says something else, or comes later.
    return titled.filter(has_text=field.description).first


def _open_form(page, served):
    deployment = served.deployment("screen-cathodes", "custom")
    page.goto(f"http://127.0.0.1:{served.port}/deployments/deployment/{deployment['id']}/run")
    _field(page, "limit").wait_for()


def _open_artifact(page, served, identifier, key):
    """Go to a run's page and open one of its artifacts there."""
    _open_artifacts(page, served, identifier)
    title = page.locator(f".artifact-card__title:text-is('{key}')")
    page.locator(".artifact-card", has=title).click()
    page.wait_for_url(re.compile("/artifacts/artifact/"))


def _open_artifacts(page, served, identifier):
    page.goto(f"http://127.0.0.1:{served.port}/runs/flow-run/{identifier}")
    page.get_by_role("tablist").get_by_text("Artifacts", exact=True).click()


@pytest.fixture(scope="module")
def identifier(page, served):
    """Fill in the form, start the run and return which one it is."""
    from playwright.sync_api import expect

    _open_form(page, served)
    source = _field(page, "source").get_by_role("button", name="reference")
    expect(source).to_be_visible()
    source.press("ArrowDown")
    page.get_by_role("option", name="reference", exact=True).click()
    limit = _field(page, "limit")
    limit.get_by_role("button", name="int", exact=True).click()
    limit.locator("input").fill(str(LIMIT))
    _field(page, "database").locator("textarea").fill("by-hand.duckdb")
    return _submit(page)


def _submit(page):
    """Press the button, and once more where a busy server refuses; return the run."""
    refusals = []
    for _ in range(PRESSES):
        answer = _answer_to_submit(page)
        if answer.ok:
            return answer.json()["id"]
        refusals.append(f"{answer.status} {answer.text()}")
    raise AssertionError(f"the form was refused: {refusals}")


def _answer_to_submit(page):
    """Press the button and return what the server says to the run, or to its parameters if it refuses."""
    answers = []

    def listen(response):
        is_refusal = response.url.endswith("/schemas/validate") and not response.ok
        if is_refusal or response.url.endswith("/create_flow_run"):
            answers.append(response)

    page.on("response", listen)
    page.get_by_role("button", name="Submit", exact=True).click()
    end = time.monotonic() + PATIENCE_MS / 1000
    while not answers and time.monotonic() < end:
        page.wait_for_timeout(200)
    page.remove_listener("response", listen)
    assert answers, f"nothing came of the form at {page.url}: {page.inner_text('body')}"
    return answers[-1]


def test_the_form_explains_itself(page, served):
    from playwright.sync_api import expect

    _open_form(page, served)
    for name in ScreenParameters.model_fields:
        # With its title and all of its description.
        expect(_field(page, name), name).to_be_visible()


def test_the_run_completes_before_the_eyes_of_who_started_it(page, served, identifier):
    from playwright.sync_api import expect

    page.goto(f"http://127.0.0.1:{served.port}/runs/flow-run/{identifier}")
    expect(page.get_by_text("Completed", exact=True).first).to_be_visible(timeout=RUN_MS)
    expect(page.get_by_text(f"Li reference, first {LIMIT}", exact=True).first).to_be_visible()
    assert served.run(identifier)["parameters"]["parameters"]["limit"] == LIMIT
    with duckdb.connect(str(served.folder / "by-hand.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM rankings").fetchone() == (LIMIT,)


def test_its_page_shows_how_far_each_stage_got(page, served, identifier):
    from playwright.sync_api import expect

    _open_artifacts(page, served, identifier)
    for stage in ("Reading", "Hops and descriptors", "Barriers", "Percolation"):
        expect(page.get_by_text(f"{stage}: {LIMIT} of {LIMIT} materials")).to_be_visible()


def test_the_summary_has_a_picture_that_shows(page, served, identifier):
    from playwright.sync_api import expect

    _open_artifact(page, served, identifier, SUMMARY)
    picture = page.get_by_role("img", name="Materials of this run")
    expect(picture).to_be_visible()
    page.wait_for_function("picture => picture.complete", arg=picture.element_handle())
    natural = picture.evaluate("picture => [picture.naturalWidth, picture.naturalHeight]")
    assert min(natural) > 100
    box = picture.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= WIDEST_PX
    expect(page.get_by_text(f"{LIMIT} materials of")).to_be_visible()


def test_the_ranking_is_a_table_that_fits(page, served, identifier):
    from playwright.sync_api import expect

    _open_artifact(page, served, identifier, RANKING)
    table = page.get_by_role("table")
    expect(table.get_by_role("row")).to_have_count(LIMIT + 1)
    expect(table).to_contain_text("barrier (eV)")
    expect(table).to_contain_text("ref-")
    shown = table.evaluate("table => [table.scrollWidth, table.parentElement.clientWidth]")
    assert shown[0] <= shown[1]


def test_the_failures_are_a_table_by_reason(page, served, identifier):
    from playwright.sync_api import expect

    _open_artifact(page, served, identifier, FAILURES)
    row = page.get_by_role("row").filter(has_text="Raise the limit")
    expect(row).to_be_visible()
    expect(row.get_by_role("cell").first).to_have_text("limit")


def test_its_log_has_nothing_to_worry_about(page, served, identifier):
    from playwright.sync_api import expect

    page.goto(f"http://127.0.0.1:{served.port}/runs/flow-run/{identifier}")
    expect(page.get_by_text(f"{LIMIT} materials of")).to_be_visible()
    assert max(line["level"] for line in served.log_of(identifier)) <= 20
