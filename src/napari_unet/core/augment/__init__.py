"""Augmentation: parameters are drawn first, then applied to image, labels and mask alike."""
