"""Cells of a spreadsheet that begin like a formula.

An export puts an apostrophe in front of them, and of what begins with one, so that no spreadsheet calculates them; an
import takes one off. People mark numbers as text the same way (`'+4915112345678`).
"""

import re

# What an apostrophe is put in front of: the beginnings of formulas, and the apostrophe itself.
MARKED = "\t\n\r'+-=@"
# Column of an export of opt-outs: an import takes no notice of it, for no file says who opted in or out.
OPTOUTS_TITLE = "opted_out_channels"

# + and digits is a number at worst, and no formula.
PHONE = re.compile(r"\+[0-9]{1,15}", re.ASCII)


def marked(cell: str) -> str:
    """A cell that no spreadsheet calculates; `plain` is the way back."""
    return "'" + cell if cell[:1] and cell[0] in MARKED and not PHONE.fullmatch(cell) else cell


def plain(cell: str) -> str:
    """A cell as it was meant."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] and cell[1] in MARKED else cell
