"""What a page is made of; the template knows how each looks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar


@dataclass(frozen=True)
class Note:
    """A sentence; also what stands in place of something absent."""

    kind: ClassVar[str] = "note"
    text: str


@dataclass(frozen=True)
class Picture:
    """Image with a caption.

    Attributes:
        source: data URI.
        caption: what it shows, for the eye and as alternative text.
    """

    source: str
    caption: str


@dataclass(frozen=True)
class Charts:
    """Pictures side by side, as many in a row as fit."""

    kind: ClassVar[str] = "charts"
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Strips:
    """Wide, low pictures, one or two in a row."""

    kind: ClassVar[str] = "strips"
    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Gallery:
    """Grid of pictures: one row per tile, one column per stage.

    Attributes:
        columns: headings.
        rows: pictures of each row, as many as columns.
        names: name of each row.
        caption: what colours and signs mean.
    """

    kind: ClassVar[str] = "gallery"
    columns: Sequence[str]
    rows: Sequence[Sequence[Picture]]
    names: Sequence[str]
    caption: str


@dataclass(frozen=True)
class Table:
    """Table of texts.

    Attributes:
        headers: headings; the first column holds names, the others figures.
        rows: cells; as many as headings.
        caption: what the figures are.
        strong: (row, column) of cells to set in bold.
    """

    kind: ClassVar[str] = "table"
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str
    strong: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True)
class Details:
    """Text in type of constant width, folded away under a summary."""

    kind: ClassVar[str] = "details"
    summary: str
    text: str


Block = Note | Charts | Strips | Gallery | Table | Details


@dataclass
class Section:
    """Part of the page with a heading of its own.

    Attributes:
        anchor: id for links.
        title: heading.
        blocks: content, from top to bottom.
    """

    anchor: str
    title: str
    blocks: list[Block] = field(default_factory=list)


@dataclass(frozen=True)
class Fact:
    """One figure at the head of the page."""

    value: str
    name: str
