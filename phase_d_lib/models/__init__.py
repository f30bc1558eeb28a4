"""Models of the put rate: one file each, one interface (:mod:`phase_d_lib.models.base`)."""
