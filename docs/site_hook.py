"""A hook of MkDocs: files outside of docs/ that a page links to are put into the site, below ``repository/``."""

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(\]\()([^)#\s:]+)(?=[)#])")


def on_page_markdown(markdown, page, config, files):
    """Lead links that leave docs/ to the copies; a folder's are written without a link."""
    here = posixpath.dirname(page.file.src_uri)

    def moved(found):
        path = posixpath.normpath(posixpath.join("docs", here, found[2]))
        if path.startswith("docs/") or not (ROOT / path).is_file():
            return found[0]
        return found[1] + posixpath.relpath(f"repository/{path}", here or ".")

    def unlinked(found):
        return found[1] if (ROOT / "docs" / here / found[2]).is_dir() else found[0]

    return LINK.sub(moved, re.sub(r"\[([^\]]*)\]\(([^)#\s:]+)\)", unlinked, markdown))


def on_files(files, config):
    """Copies of what the pages link to."""
    for page in list(files.documentation_pages()):
        text = (ROOT / "docs" / page.src_uri).read_text("utf-8")
        for link in LINK.findall(text):
            path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page.src_uri), link[1]))
            if not path.startswith("docs/") and (ROOT / path).is_file():
                uri = f"repository/{path}"
                if files.get_file_from_path(uri) is None:
                    files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
    return files
