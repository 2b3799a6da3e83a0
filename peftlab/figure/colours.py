"""The colours of curves and points, on white paper and on a dark page."""

# Okabe and Ito 2008 and relatives: told apart by colour-blind readers, and dark enough on white; then grey
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8B6508", "#3A9BDC", "#B22222", "#5A3D8A", "#595959")
# the same, light enough on black: what an HTML page puts in their place
ON_DARK = ("#56A9E6", "#F08A3C", "#2FC79A", "#E79CC4", "#CFA53A", "#7CC4F5", "#F27C7C", "#B79CE6", "#B0B0B0")
BLACK = "#010101"  # of what stands on a colour of its own: plain black follows the page that an SVG is on
