"""What MkDocs does not do by itself: generated parts of pages, and files of the repository that pages link to."""

from __future__ import annotations

import os
import re
from pathlib import Path

from generate import PARTS, ROOT
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

LINK = re.compile(r"\]\(((?:\.\./)+)([^)#\s]+)\)")


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put generated parts in their places, and let links that leave docs/ lead to copies of the files, in the site."""
    for place, part in PARTS.items():
        if place in markdown:
            markdown = markdown.replace(place, part())

    def linked(match: re.Match[str]) -> str:
        source = Path(os.path.normpath(ROOT / "docs" / Path(page.file.src_uri).parent / (match[1] + match[2])))
        if source.is_relative_to(ROOT / "docs") or not source.is_file():
            return match[0]
        name = f"files/{source.relative_to(ROOT)}"
        if files.get_file_from_path(name) is None:
            files.append(File.generated(config, name, abs_src_path=str(source)))
        return f"]({os.path.relpath(name, Path(page.file.src_uri).parent)})"

    return LINK.sub(linked, markdown)
