"""MutDet: pre-training of oriented object detectors on unlabelled aerial images.

Letters in the shapes of docstrings:

====  ==========================================================
B     images of a batch
L     levels of a feature pyramid
K     encoder tokens, all levels together
Q     queries of the decoder
M     objects of an image
C     channels
N     classes
H, W  height and width of an image in pixels
D     width of an embedding before projection
P     principal components
T     denoising queries
====  ==========================================================
"""
