"""The web page loads nothing from other servers, and shows the right address."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from app import console
from app.console import page

FOLDER = Path(console.__file__).parent


@pytest.fixture
def client() -> httpx.AsyncClient:
    transport = httpx.ASGITransport(Starlette(routes=page.routes))
    return httpx.AsyncClient(transport=transport, base_url="http://router.example:8000")


class _Links(HTMLParser):
    """Collects what a page loads or links to, and attributes that its Content-Security-Policy forbids."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.inline: list[str] = []
        self.ids: set[str] = set()
        self.labelled: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.found |= {given[name] or "" for name in ("src", "href") if name in given}
        self.inline += [name for name in given if name == "style" or name.startswith("on")]
        self.inline += [tag] if tag == "style" or (tag == "script" and "src" not in given) else []
        self.ids |= {given["id"] or ""} if "id" in given else set()
        self.labelled |= {given["aria-labelledby"] or ""} if "aria-labelledby" in given else set()


async def test_the_root_leads_to_the_page(client: httpx.AsyncClient) -> None:
    reply = await client.get("/")
    assert (reply.status_code, reply.headers["location"]) == (303, "/console")


async def test_the_page_has_the_address_of_the_request(client: httpx.AsyncClient) -> None:
    text = (await client.get("/console")).text
    assert "{{" not in text
    assert text.count("http://router.example:8000/v1") >= 3
    behind_tls = (await client.get("/console", headers={"x-forwarded-proto": "https"})).text
    assert "https://router.example:8000/v1" in behind_tls


@pytest.mark.parametrize("host", [b'x"><script>alert(1)</script>', b"a b", b"x\xfc"])
async def test_a_host_that_is_no_host_is_not_repeated(client: httpx.AsyncClient, host: bytes) -> None:
    text = (await client.get("/console", headers={b"host": host})).text
    assert host.decode("latin-1") not in text
    assert "http://router.example:8000/v1" in text


async def test_everything_the_page_loads_is_served_by_the_router(client: httpx.AsyncClient) -> None:
    links = _Links()
    links.feed((await client.get("/console")).text)
    assert all(link.startswith("/") and not link.startswith("//") for link in links.found), links.found
    loaded = {link for link in links.found if link.startswith("/console/")}
    assert len(loaded) == 3
    for link in loaded:
        reply = await client.get(link)
        assert reply.status_code == 200
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "http" not in re.sub(r'xmlns="[^"]+"', "", reply.text).replace("https only", "")
    assert links.labelled <= links.ids


async def test_the_page_forbids_scripts_of_others_and_frames(client: httpx.AsyncClient) -> None:
    reply = await client.get("/console")
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert reply.headers["x-content-type-options"] == "nosniff"
    links = _Links()
    links.feed(reply.text)
    assert not links.inline
