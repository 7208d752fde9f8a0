"""The page loads nothing from other servers, is cached by content, and needs neither key nor database."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from app.console import page


@pytest.fixture
def client() -> httpx.AsyncClient:
    transport = httpx.ASGITransport(Starlette(routes=page.routes))
    return httpx.AsyncClient(transport=transport, base_url="http://router.example:8000")


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A built page of a test's own."""
    assets = tmp_path / "assets"
    assets.mkdir()
    (tmp_path / "index.html").write_text('<script type="module" src="/console/assets/index-1a2b.js"></script>')
    (assets / "index-1a2b.js").write_text("console.log('x');" * 100)
    (tmp_path / "icon.svg").write_text("<svg/>")
    monkeypatch.setattr(page, "_BUILT", tmp_path)
    page._files.cache_clear()
    return tmp_path


async def test_the_root_leads_to_the_page(client: httpx.AsyncClient) -> None:
    reply = await client.get("/")
    assert (reply.status_code, reply.headers["location"]) == (303, "/console")


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(
    "path", ["/console", "/console/", "/console/route", "/console/traffic/x", "/console/assets/..%2Findex.html"]
)
async def test_every_address_of_a_view_is_the_page(client: httpx.AsyncClient, path: str) -> None:
    reply = await client.get(path)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert reply.headers["cache-control"] == "no-cache"
    again = await client.get(path, headers={"if-none-match": reply.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.usefixtures("built")
async def test_files_with_a_hash_in_their_name_are_cached_for_ever_and_compressed(client: httpx.AsyncClient) -> None:
    reply = await client.get("/console/assets/index-1a2b.js")
    assert reply.headers["content-type"].startswith("text/javascript")
    assert "immutable" in reply.headers["cache-control"]
    assert reply.headers["content-encoding"] == "gzip"
    assert reply.text == "console.log('x');" * 100
    plain = await client.get("/console/assets/index-1a2b.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert (await client.get("/console/icon.svg")).headers["content-type"].startswith("image/svg+xml")


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("path", ["/console/assets/none.js", "/console/assets/%2e%2e", "/console/x.svg"])
async def test_no_other_file_is_served(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 404


@pytest.mark.usefixtures("built")
async def test_a_page_that_is_built_again_is_served_without_a_restart(client: httpx.AsyncClient, built: Path) -> None:
    await client.get("/console")
    (built / "index.html").write_text("new")
    assert (await client.get("/console")).text == "new"


async def test_without_a_built_page_one_sentence_says_how_to_build_it(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(page, "_BUILT", tmp_path / "none")
    reply = await client.get("/console")
    assert (reply.status_code, "make page" in reply.text) == (503, True)
    assert (await client.get("/console/assets/x.js")).status_code == 404


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("path", ["/console", "/console/assets/index-1a2b.js", "/console/assets/none.js"])
async def test_the_page_forbids_scripts_of_others_and_frames(client: httpx.AsyncClient, path: str) -> None:
    reply = await client.get(path)
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["referrer-policy"] == "no-referrer"


async def test_the_built_page_loads_its_own_files_alone_and_is_small(client: httpx.AsyncClient) -> None:
    folder = Path(page.__file__).parent / "dist"
    if not (folder / "index.html").is_file():
        pytest.skip("the console is not built: run `make page`")
    text = (folder / "index.html").read_text(encoding="utf-8")
    links = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert links
    assert all(link.startswith("/console/") for link in links), links
    assert not re.search(r"<style|<script(?![^>]*src=)|\son\w+=", text)
    for link in links:
        assert (await client.get(link)).status_code == 200, link
    code = [path for path in folder.rglob("*") if path.suffix in (".js", ".css")]
    sizes = {path.name: len(page._file_of(path, path.name).compressed) for path in code}
    assert sum(sizes.values()) < 120_000, sizes
    # No address of another server, save the names of namespaces.
    for path in code:
        found = set(re.findall(r"https?://[\w.-]+", path.read_text(encoding="utf-8")))
        assert found <= {"http://www.w3.org"}, (path.name, found)
