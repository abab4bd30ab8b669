# SPDX-License-Identifier: GPL-3.0-or-later
import bpy

controls = bpy.context.gaussianspeech_controls

controls.strength = 1.0
controls.lip_closure = 1.0
controls.upper_face = 1.0
controls.blinks = 1.0
controls.articulation = 1.0
controls.jaw = 1.0
controls.lips = 1.0
controls.smile = 0.0
controls.rest = 1.0
controls.gaze = 1.0
controls.head_motion = 1.0
controls.emotion_from_voice = 0.4
controls.joy = 0.0
controls.anger = 0.0
controls.sadness = 0.0
controls.fear = 0.0
controls.disgust = 0.0
controls.surprise = 0.0
controls.smoothing = 0.0
