"""Traffic Light Protocol 2.0: coloured letters on black, 12 points or more, on the right of head and foot."""

from __future__ import annotations

TLP_COLOURS = {
    "TLP:RED": "FF2B2B",
    "TLP:AMBER": "FFC000",
    "TLP:AMBER+STRICT": "FFC000",
    "TLP:GREEN": "33FF00",
    "TLP:CLEAR": "FFFFFF",
}
