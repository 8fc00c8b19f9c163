"""A real browser without a screen: what axe says of pages at two widths in both schemes, and pages on paper."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome", "chrome") if (path := shutil.which(name))),
    None,
)
HAS_AXE = find_spec("axe_core_python") is not None
HAS_PDF = shutil.which("pdftotext") is not None
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
)
WIDTHS = (1280, 360)
SCHEMES = ("dark", "light")
"""In the order of Chromium's setting preferredColorScheme."""
_AUDIT = """
<!doctype html><meta charset="utf-8"><title>audit</title><body><pre id="out"></pre><script>
const decode = text => new TextDecoder().decode(Uint8Array.from(atob(text), c => c.charCodeAt(0)));
const pages = PAGES, axe = decode("AXE"), faults = [];
async function audit(name, page, width) {
  const frame = document.createElement("iframe");
  frame.style.cssText = `width:${width}px;height:800px;border:0`;
  frame.srcdoc = decode(page);
  const loaded = new Promise(done => frame.onload = done);
  document.body.append(frame);
  await loaded;
  const view = frame.contentWindow, inside = frame.contentDocument;
  view.eval(axe);
  inside.querySelectorAll("details").forEach(details => details.open = true);
  const where = `${name} ${width} px: `;
  const found = await view.axe.run(inside, {resultTypes: ["violations"], preload: false});
  found.violations.forEach(v => v.nodes.forEach(node => faults.push(`${where}${v.id} ${node.html.slice(0, 160)}`)));
  const edge = inside.querySelector("main").getBoundingClientRect().right;
  const wide = [...inside.querySelectorAll("main *")].filter(element => !element.closest(".scroll")
    && element.getClientRects().length && element.getBoundingClientRect().right > edge + 1);
  wide.slice(0, 3).forEach(element => faults.push(`${where}beyond the edge ${element.outerHTML.slice(0, 160)}`));
  frame.remove();
}
(async () => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  for (const [name, page] of Object.entries(pages)) for (const width of WIDTHS) await audit(name, page, width);
  document.getElementById("out").textContent = JSON.stringify({scheme: dark ? "dark" : "light", faults});
})().catch(error => document.getElementById("out").textContent = JSON.stringify({faults: [String(error)]}));
</script></body>
"""


def audit(pages: Mapping[str, str], scheme: str, directory: Path) -> list[str]:
    """Return what axe finds wrong with pages in a colour scheme, and what lies beyond their right edge.

    A copy of each page is looked at that lets scripts run, since axe is one.
    """
    encoded = {
        name: _base64(re.sub(r'<meta http-equiv="Content-Security[^>]*>', "", page)) for name, page in pages.items()
    }
    axe = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    page = (
        _AUDIT.replace("PAGES", json.dumps(encoded)).replace("WIDTHS", str(list(WIDTHS))).replace("AXE", _base64(axe))
    )
    path = directory / f"audit-{scheme}.html"
    path.write_text(page, encoding="utf-8")
    command = [
        str(CHROMIUM), *QUIET, f"--blink-settings=preferredColorScheme={SCHEMES.index(scheme)}", "--window-size=1400,900",
        f"--user-data-dir={directory / 'profile'}", "--timeout=60000", "--virtual-time-budget=100000", "--dump-dom", path.as_uri(),
    ]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    out = re.search(r'<pre id="out">(.*?)</pre>', dom, re.DOTALL)
    result = json.loads((out[1] if out else "").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    assert result["scheme"] == scheme, result
    return list(result["faults"])


def printed(page: str, directory: Path) -> str:
    """Return the text of a page on paper; a form feed ends each sheet."""
    path, pdf = directory / "page.html", directory / "page.pdf"
    path.write_text(page, encoding="utf-8")
    profile = f"--user-data-dir={directory / 'profile'}"
    command = [str(CHROMIUM), *QUIET, profile, "--no-pdf-header-footer", f"--print-to-pdf={pdf}", path.as_uri()]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    return subprocess.run(["pdftotext", "-layout", str(pdf), "-"], capture_output=True, text=True, check=True).stdout


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
