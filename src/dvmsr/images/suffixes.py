"""Which files in a folder are taken for images."""

READABLE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".avif", ".gif")
"""Suffixes of the files in a folder that are taken for images. What a file is, its content says."""
