"""What results are and how they are saved: a result is data, and a view, chosen by the suffix of a file, shows it."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from regard.errors import ConfigError
from regard.files import check_suffix, write_file
from regard.registry import Registry

if TYPE_CHECKING:
    from PIL import Image


class Result(ABC):
    """What every result can do."""

    @abstractmethod
    def __str__(self) -> str:
        """The text alone."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Plain data, as ``--json`` prints it."""

    def to_image(self) -> Image.Image:
        """The result as one picture, that of a PNG file."""
        from PIL import Image

        return Image.open(io.BytesIO(VIEWS[".png"].render(self)))

    def save(self, path: str | Path) -> Path:
        """Write the result to ``path``; the suffix chooses the view. The file is whole or absent.

        Raises:
            ConfigError: there is no view for the suffix.
            DataError: the file cannot be written.
        """
        path = Path(path)
        return write_file(path, VIEWS[check_suffix(path, VIEWS)].render(self))

    def _repr_html_(self) -> str:
        # a frame of its own keeps the page's styles, ids and script apart from the notebook's
        page = VIEWS[".html"].render(self).decode()
        return (
            f'<iframe srcdoc="{escape(page)}" sandbox="allow-scripts" title="{escape(str(self))}" '
            'style="width:100%;height:46rem;border:0"></iframe>'
        )


class View(ABC):
    """A form that results are saved in.

    Attributes:
        holds_several: whether one file can hold several results.
    """

    holds_several: ClassVar[bool] = True

    @abstractmethod
    def render(self, result: Result) -> bytes:
        """The content of a file of one result."""

    @abstractmethod
    def render_together(self, results: Sequence[Result], *, title: str = "") -> bytes:
        """The content of a file of several results, where it can hold them.

        Args:
            results: at least one.
            title: of the whole, where the form shows one; empty to choose one.
        """


VIEWS: Registry[View] = Registry(
    "view",
    {
        ".html": "regard.views.page:PAGE",
        ".png": "regard.views.picture:PICTURE",
        ".json": "regard.views.json_data:JSON_DATA",
    },
)
"""The views of a result by the suffix of the file."""


def save_together(results: Sequence[Result], path: str | Path, *, title: str = "") -> Path:
    """Write several results to one file, such as a page to walk through or a list of data.

    Raises:
        ConfigError: there is no view for the suffix, or its files hold one result.
        DataError: the file cannot be written.
    """
    path = Path(path)
    suffix = check_suffix(path, VIEWS)
    if not VIEWS[suffix].holds_several:
        several = ", ".join(each for each in VIEWS if VIEWS[each].holds_several)
        raise ConfigError(f"{path}: a {suffix} file holds one result", allowed=several, remedy="save each by itself")
    return write_file(path, VIEWS[suffix].render_together(results, title=title))
