"""The page in a real browser: one server, one Chromium without a window, all that a user does."""

import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fdam_mm.demo.models import Served
from fdam_mm.errors import UsageError

_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, _NAMES)), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


class Server:
    """Where the page is, and the folder of its uploads."""

    def __init__(self, address: str, folder: Path) -> None:
        self.address, self.folder = address, folder


@pytest.fixture(scope="module")
def server(models: dict[str, Served]) -> Iterator[Server]:
    pytest.importorskip("gradio", reason="no gradio: pip install fdam_mm[demo]")
    from fdam_mm.demo.serving import require_address, serving

    port = require_address("127.0.0.1", 0)
    with serving(models, port=port) as address:
        folder = Path(os.environ["GRADIO_TEMP_DIR"])
        with pytest.raises(UsageError, match=f"port {port} of 127.0.0.1 cannot be served"):
            require_address("127.0.0.1", port)
        yield Server(address, folder)
    assert not folder.exists()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="no playwright")
    with api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


def opened(browser: Any, server: Server) -> Any:
    """The page as a new user has it; ``page.hosts`` are those that it asked."""
    page = browser.new_context(viewport=dict(width=1280, height=900)).new_page()
    page.set_default_timeout(60_000)
    page.hosts = set()
    page.on("request", lambda request: page.hosts.add(request.url.split("/")[2]))
    page.goto(server.address)
    page.get_by_role("button", name="Run").wait_for()
    return page


def choose(page: Any, file: Path) -> None:
    """Give the page a file; it is there when the page says so."""
    with page.expect_response(lambda response: "/upload" in response.url):
        page.set_input_files("input[type=file] >> nth=0", str(file))
    page.wait_for_timeout(300)


def run(page: Any) -> None:
    page.get_by_role("button", name="Run").click()


def test_a_result_with_its_divider_and_spectra(browser: Any, server: Server, upload: Path) -> None:
    page = opened(browser, server)
    assert page.get_by_label("Model", exact=True).input_value() == "fdam-tiny"
    assert page.get_by_label("Beside it", exact=True).input_value() == "tiny"
    run(page)
    page.get_by_text("there is no picture yet").wait_for()
    choose(page, upload)
    run(page)
    page.locator("#result img").nth(1).wait_for()
    assert "fdam-tiny | tiny" in " ".join(page.locator("#result").inner_text().split())
    assert page.locator(".error").count() == 0
    divider = page.locator("#result .handle, #result .outer").first
    before = divider.bounding_box()
    page.mouse.move(before["x"] + before["width"] / 2, before["y"] + before["height"] / 2)
    page.mouse.down()
    page.mouse.move(before["x"] - 100, before["y"] + before["height"] / 2, steps=4)
    page.mouse.up()
    assert divider.bounding_box()["x"] < before["x"] - 50
    page.locator(".layers svg").wait_for()
    assert page.hosts == {server.address.split("/")[2]}
    assert any(server.folder.rglob("photo.png"))
    page.set_viewport_size(dict(width=390, height=800))
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.context.close()


def test_bad_files(browser: Any, server: Server, tmp_path: Path) -> None:
    page = opened(browser, server)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    choose(page, tmp_path / "broken.png")
    run(page)
    page.get_by_text("broken.png is no picture that is read here").wait_for()
    assert str(server.folder) not in page.locator(".error").inner_text()
    page.context.close()


_RATIO = "async i => { await i.decode(); return i.naturalWidth / i.naturalHeight; }"


def test_two_users_at_once(browser: Any, server: Server, tmp_path: Path) -> None:
    pages = []
    for number, size in enumerate([(64, 64), (64, 128)]):
        noise = np.random.default_rng(number).integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{number}.png")
        pages.append(opened(browser, server))
        choose(pages[-1], tmp_path / f"{number}.png")
    for page in pages:
        run(page)
    shapes = []
    for page in pages:
        image = page.locator("#result img").first
        image.wait_for()
        shapes.append(image.evaluate(_RATIO))
        page.context.close()
    assert shapes == [1.0, 2.0]


def test_what_the_page_never_asks_for(server: Server) -> None:
    request = urllib.request.Request(f"{server.address}gradio_api/process_recording", data=b"x")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(request)
    with pytest.raises(urllib.error.HTTPError, match="403|404"):
        urllib.request.urlopen(f"{server.address}gradio_api/file=/etc/passwd")


def test_addresses_are_not_fetched(server: Server) -> None:
    """What a request of another program names in the place of an upload."""
    client = pytest.importorskip("httpx").Client(base_url=f"{server.address}gradio_api/")
    picture = dict(path="http://127.0.0.1:9/a.png", meta={"_type": "gradio.FileData"})
    for path, said in ((picture["path"], "not named by its address"), ("/etc/passwd", "cache")):
        data = [picture | dict(path=path), "tiny", "tiny", 0.3, "none", False]
        asked = dict(data=data, fn_index=0, session_hash="test", trigger_id=1)
        assert client.post("queue/join", json=asked).status_code == 200
        answer = client.get("queue/data", params=dict(session_hash="test"))
        assert said in answer.text and '"success":false' in answer.text.replace(" ", "")
