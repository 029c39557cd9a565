"""The digits of scikit-learn: 1,797 grey images of 8×8 pixels in ten classes, always at hand.

Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI repository, 1998.
"""

from __future__ import annotations

from sklearn.datasets import load_digits

from nas.data.images import Raw


def read_digits() -> Raw:
    """x_train (1797, 8, 8) with values 0 to 16 and y_train (1797,); types are fixed, so that the hash is."""
    digits = load_digits()
    return Raw({"x_train": digits.images.astype("<f4"), "y_train": digits.target.astype("<i8")})
