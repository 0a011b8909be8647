# SPDX-License-Identifier: Apache-2.0
"""Draws the picture of docs/architecture.md from the imports between the packages."""

import grimp

from support.repository import ROOT

PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- drawn by `make docs` -->\n", "<!-- end of the picture -->\n"
PARTS = ("cli", "demo", "exporter", "webhook", "toolkit", "hook")
OPENED = ("exporter",)  # shown with the packages in it


def part(module):
    """The box of a module: its distribution part, or a package in it."""
    names = module.removeprefix("primus_lens_").split(".")
    return ".".join(names[: 1 + (names[0] in OPENED and len(names) > 1)])


def arrows():
    """Pairs of boxes: the first imports the second, and not by way of another."""
    graph = grimp.build_graph(*(f"primus_lens_{name}" for name in PARTS))
    below = {}
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            below.setdefault(part(module), set()).add(part(imported))
    # The parts of the exporter all use the toolkit and the contract: one arrow says so.
    for box in [each for each in below if each.startswith("exporter.")]:
        below.setdefault("exporter", set()).update(below[box] & {"toolkit", "hook"})
        below[box] -= {"toolkit", "hook"}
    below = {box: others - {box} for box, others in below.items()}
    return sorted((box, each) for box in below for each in below[box] - indirect(below, below[box]))


def indirect(below, boxes):
    """What is reached from the boxes."""
    found, left = set(), list(boxes)
    while left:
        new = below.get(left.pop(), set()) - found
        found |= new
        left += new
    return found


def picture():
    """The picture as Mermaid, which GitHub shows as a diagram."""
    lines = ["```mermaid", "flowchart TD"]
    lines += [f"  {name}" for name in PARTS if name not in OPENED]
    for name in OPENED:
        boxes = sorted({box for arrow in arrows() for box in arrow if box.startswith(f"{name}.")})
        inner = [f'    {box}["{box.partition(".")[2]}"]' for box in boxes]
        lines += [f"  subgraph {name}", *inner, "  end"]
    return "\n".join([*lines, *(f"  {a} --> {b}" for a, b in arrows()), "```"]) + "\n"


def drawn(text):
    """The page with the picture as it is now."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + "\n" + picture() + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text()))
