# SPDX-License-Identifier: GPL-3.0-or-later
import bpy

controls = bpy.context.gaussianspeech_controls

controls.strength = 1.0
controls.lip_closure = 0.85
controls.upper_face = 0.7
controls.blinks = 1.0
controls.articulation = 0.65
controls.jaw = 0.6
controls.lips = 0.7
controls.smile = 0.0
controls.rest = 0.8
controls.gaze = 0.6
controls.head_motion = 0.4
controls.emotion_from_voice = 0.0
controls.joy = 0.0
controls.anger = 0.0
controls.sadness = 0.0
controls.fear = 0.0
controls.disgust = 0.0
controls.surprise = 0.0
controls.smoothing = 35.0
