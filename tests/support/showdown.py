"""MLflow's own Markdown: what its page makes of a description, by the JavaScript that it ships."""

import json
import shutil
import subprocess
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import mlflow

NODE = shutil.which("node")
SCRIPT = """
const fs = require('fs'), modules = {}, exported = {exports: {}};
globalThis.webpackChunk_mlflow_mlflow = {push: ([ids, chunk]) => Object.assign(modules, chunk)};
require(process.argv[1]);
const showdown = Object.values(modules).find(module => module.toString().includes('ghMentions'));
showdown.call(exported.exports, exported, exported.exports, () => {});
const converter = new exported.exports.Converter();
converter.setFlavor('github');
process.stdout.write(JSON.stringify(JSON.parse(fs.readFileSync(0)).map(text => converter.makeHtml(text))));
"""
"""The settings are those of MLflow's page (getMarkdownConverter in MarkdownUtils.ts)."""


@cache
def chunk() -> Path:
    """The file of MLflow's page that holds the converter."""
    folder = Path(mlflow.__file__).parent / "server/js/build/static/js"
    return next(path for path in sorted(folder.glob("*.chunk.js")) if "ghMentions" in path.read_text(encoding="utf-8"))


def to_html(texts):
    """The HTML of each Markdown text."""
    command = [str(NODE), "-e", SCRIPT, str(chunk())]
    result = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, check=True)
    return json.loads(result.stdout)


class Page(HTMLParser):
    """The elements of an HTML text, their attributes, and the text of each block."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.blocks = [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag in ("p", "li", "td", "th"):
            self.blocks.append("")

    def handle_data(self, data):
        if self.blocks:
            self.blocks[-1] += data
