"""A PDF 1.4 of plain lines of text, one page a list of lines: enough for the demonstration's files, without a library.

    text_pdf([["Title", "First line"], ["Second page"]]) -> bytes

Left out: line breaking, fonts besides Helvetica, letters outside Windows-1252 (they become "?").
"""

from __future__ import annotations

import re
from collections.abc import Sequence

FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"


def text_pdf(pages: Sequence[Sequence[str]]) -> bytes:
    """Objects 1 catalog, 2 page tree, 3 font, then a page and its stream for each page; the xref table holds their byte offsets."""
    kids = " ".join(f"{4 + 2 * i} 0 R" for i in range(len(pages)))
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(), FONT]
    for i, lines in enumerate(pages):
        rows = [b"(%s) Tj T*" % re.sub(r"([\\()])", r"\\\1", row).encode("cp1252", "replace") for row in lines]
        stream = b"BT /F1 11 Tf 16 TL 56 780 Td\n" + b"\n".join(rows) + b"\nET"
        page = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> /Contents {5 + 2 * i} 0 R >>"
        objects += [page.encode(), b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream)]
    out, offsets = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    return out + b"xref\n0 %d\n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, table, size, len(out))
