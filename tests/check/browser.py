"""Pages as a browser shows them: Chromium, without a window, at any width and in both colour schemes."""

import html
import json
import subprocess
import tempfile
from pathlib import Path

_MEASURE = """
<!doctype html><meta charset="utf-8"><style>body{{margin:0}}iframe{{border:0}}</style>
<iframe id="page" width="{width}" height="{height}" srcdoc="{page}"></iframe><pre id="told"></pre>
<script>
window.addEventListener("load", () => {{
  const inside = document.getElementById("page").contentDocument, wide = [];
  for (const each of inside.querySelectorAll("body *")) {{
    const box = each.getBoundingClientRect();
    const out = box.right > {width} + 0.5 || box.left < -0.5;
    if (box.width && out) wide.push(each.outerHTML.slice(0, 200));
  }}
  const lines = {{}}, range = inside.createRange();
  for (const each of inside.querySelectorAll("th[scope=row]")) {{
    range.selectNodeContents(each.firstChild);
    lines[each.firstChild.textContent.trim()] = range.getClientRects().length;
  }}
  const root = inside.documentElement;
  document.getElementById("told").textContent = JSON.stringify(
    {{scroll: root.scrollWidth, height: root.scrollHeight, wide, lines,
      background: inside.defaultView.getComputedStyle(inside.body).backgroundColor}});
}});
</script>
"""


class Browser:
    """Chromium, with a profile of its own each time: what is left of one that has just ended may not have
    let go of its profile yet, and would be asked to show the page, to nobody.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def measure(self, page: str, width: int, dark: bool = False) -> dict[str, object]:
        """How a page fills a window of a width: what sticks out of it, how many lines its rows'
        names take, and its background.
        """
        done = self._run(page, width, dark, "--dump-dom")
        told = done.split('<pre id="told">')[1].split("</pre>")[0]
        facts: dict[str, object] = json.loads(html.unescape(told))
        return facts

    def picture(self, page: str, width: int, path: Path, dark: bool = False, height: int = 1600) -> None:
        """A picture of a page (PNG)."""
        size = f"--window-size={max(width, 500)},{height}"
        self._run(page, width, dark, f"--screenshot={path}", size, height=height)

    def _run(self, page: str, width: int, dark: bool, *words: str, height: int = 1600) -> str:
        # The page forbids scripts, so a frame around it measures; and a window has a least width.
        profile = tempfile.mkdtemp(prefix="profile-", dir=self.folder)
        outer = self.folder / "outer.html"
        outer.write_text(_MEASURE.format(width=width, height=height, page=html.escape(page)))
        command = [
            *("chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            f"--user-data-dir={profile}",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            *(words or ()),
            f"file://{outer}",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
        return done.stdout
