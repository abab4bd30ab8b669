# SPDX-License-Identifier: GPL-3.0-or-later
"""The GaussianSpeech engine: speech to motion, heads, Gaussian avatars and splatting.

Each package imports only those before it in this list (held by import-linter): ``core``,
``phonemes``, ``audio``, ``recognition``, ``heads``, ``motion``, ``splatting``, ``avatar``,
``rendering``, ``jobs``, ``serving``, ``commands``.

Conventions, used everywhere unless a docstring says otherwise (docs/conventions.md):

- Metres, seconds, float32.
- Head space: right-handed, +Y up, +Z forward (as FLAME). Blender space: Z up, the head faces −Y.
- Cameras: world-to-camera matrices with OpenCV axes (x right, y down, z forward).
- Quaternions: wxyz.
- Avatar colours: display-referred sRGB in [0, 1].
- Array sizes: ``T`` frames, ``V`` vertices, ``F`` faces, ``G`` Gaussians, ``E`` expressions,
  ``K`` components of a performance.

Importing this package is light: torch is imported by the modules that compute with it, never here,
because Blender imports :mod:`engine.core.protocol` and has no torch.
"""

__version__ = "0.1.0"
