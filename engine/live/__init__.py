# SPDX-License-Identifier: GPL-3.0-or-later
"""Live speech: sound as it comes to expression weights, and out to other programs.

:mod:`.speech` makes the frames, :mod:`.sound` brings the sound, :mod:`.senders` takes the frames
away (:mod:`.live_link` knows Epic's packets), :mod:`.session` runs them together.
"""
