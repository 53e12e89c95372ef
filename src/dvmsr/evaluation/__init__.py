"""Measuring networks: image quality, benchmark sets, cost."""
