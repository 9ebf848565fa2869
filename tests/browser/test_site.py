"""The documentation as a reader without a network meets it: built, opened from a disk, and searched."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="MkDocs is missing: pip install 'glassformer[docs]'")
sync_api = pytest.importorskip(
    "playwright.sync_api", reason="playwright is missing: pip install 'glassformer[browser]'"
)
ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    return folder


@pytest.mark.parametrize("width", [1200, 400])
def test_the_search_works_from_a_disk_and_asks_no_server(site: Path, width: int) -> None:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 800})
        asked: list[str] = []
        problems: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
        page.goto((site / "guide" / "clusters.html").as_uri())
        if width < 500:
            page.locator("label.md-header__button[for=__search]").click()
        # The index is loaded when the field is entered.
        page.locator(".md-search__input").click()
        page.locator(".md-search__input").press_sequentially("cage positions", delay=20)
        first = page.locator(".md-search-result__link").first
        first.wait_for(timeout=30_000)
        first.click()
        page.wait_for_url("**/concepts/cage-positions.html*")
        browser.close()
    assert problems == []
    assert [url for url in asked if url.startswith("http")] == []
