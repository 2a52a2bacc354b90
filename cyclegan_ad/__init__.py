"""Anomaly detection with a CycleGAN, for the case where no defect may be missed.

A CycleGAN is trained between normal and abnormal images; a test image is translated to its normal
version, the difference is scored, and the threshold is set so that no abnormal image passes.

Importing the package loads neither torch nor any other heavy library, so ``--help`` stays quick.
"""

from cyclegan_ad.torchvision_compat import install_import_hook

__version__ = "0.1.0"

install_import_hook()
