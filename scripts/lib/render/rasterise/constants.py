"""Numbers that every rasteriser here goes by."""

EPS2D = 0.3  # square pixels added to every footprint, so that none falls between pixel centres
NEAR, FAR = 0.01, 1e10  # depths between which a Gaussian is drawn
