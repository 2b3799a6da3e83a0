"""What a placement resolves to: sites, each with the options that it alone overrides."""

from typing import Any

from peftlab.site import Site

# {"rank": 8, "scale": 2.0} at a site; an empty dict takes the method's own options
Cells = dict[Site, dict[str, Any]]
