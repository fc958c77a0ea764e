"""Bounds of the metadata that are read from one file. What exceeds them is left out; the image is listed."""

MAX_PACKET_BYTES = 64 << 20
"""Bytes of an XMP packet or sidecar that are parsed. They are streamed, so this bounds time, not memory."""

MAX_BLOCK_BYTES = 16 << 20
"""Bytes of one block of metadata that is held in memory: an EXIF block, a text of a PNG, decompressed."""

MAX_ELEMENTS = 200_000
"""Elements of an XMP packet. A Lightroom file with many brush strokes has some ten thousand."""

MAX_DEPTH = 100
"""Nested elements of an XMP packet. Regions in structures in lists need about ten."""

MAX_TOKEN_BYTES = 4 << 20
"""Length of one XML token, say a tag with its attributes: the parser holds a token until it is complete."""

MAX_KEYWORDS = 10_000
"""Keywords that are read from one property of a file. Fewer become tags (`tagnames.MAX_KEYWORDS`)."""

MAX_TEXT = 1000
"""Characters of a value; a longer one is no keyword, date or name."""
