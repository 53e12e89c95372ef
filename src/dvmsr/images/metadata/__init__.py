"""What belongs to a picture beside its pixels: EXIF, XMP, IPTC, profile, resolution and texts.

libvips hands EXIF data to libexif, which drops the tags it does not know and makes up others, and it gives
every file a resolution. So this package reads what lies in a file and writes it into one, by the formats'
specifications; nothing else is written. Exiv2 would do it, but is under the GPL, and writes no AVIF.
"""
