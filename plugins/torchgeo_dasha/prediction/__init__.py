"""Classes of a whole scene, tile by tile."""
