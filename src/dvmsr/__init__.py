"""DVMSR super-resolution: enlarge images with a distilled Vision Mamba network."""
