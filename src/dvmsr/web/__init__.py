"""The page: pictures dropped on it are enlarged on this machine, and compared before and after.

It has no image logic of its own: pictures go through ``batch`` and ``inference``, so that what it makes has
the bytes of what ``dvmsr upscale`` makes by the same settings. :func:`serve` is the front door.
"""

from dvmsr.web.limits import Limits
from dvmsr.web.server import Address, serve

__all__ = ["Address", "Limits", "serve"]
