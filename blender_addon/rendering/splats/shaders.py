# SPDX-License-Identifier: GPL-3.0-or-later
"""The shaders: Gaussians to footprints, footprints to a picture, the picture into the viewport.

The first pass has a texel for each Gaussian: it binds the Gaussian to its triangle
(GaussianAvatars, section 3.2), works its colour out (the paper's θ(ψ; z; v), or harmonics), and
projects it (EWA splatting; the same affine map, limits and thresholds as
``engine/splatting/cpu/projection.py``). The second draws a quad for each footprint, back to front,
which blends as the rasterisers of the engine do. The third lays the picture over the viewport's.
"""

from __future__ import annotations

from functools import cache

import gpu

from .arrays import WIDTH

FRAME_ROWS = 12
BIAS_ROWS = 64
"""Rows of four numbers in the uniform block: of the frame, and of the colour network's bias."""

_BLOCK = f"struct Frame {{ vec4 rows[{FRAME_ROWS}]; vec4 bias[{BIAS_ROWS}]; }};"
"""Rows 0–3 world to camera; 4 fx fy cx cy; 5 width height near far; 6 eye, 1 for parallel rays;
7–9 world directions to the head's; 10 first row, Gaussians, dilation, least alpha; 11 the network's
last bias."""

_COVER = "void main() { gl_Position = vec4(pos, 0.0, 1.0); }"

_BIND = """
vec4 dropped = vec4(0.0);

vec3 corner(float index) {
  int v = int(index);
  return texelFetch(vertices, ivec2(v % WIDTH, v / WIDTH), 0).xyz;
}

mat3 rotation(vec4 q) {
  float w = q.x, x = q.y, y = q.z, z = q.w;
  return mat3(
    1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y),
    2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x),
    2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y));
}

float held(float value, float focal, float center, float size) {
  float margin = 0.15 * size / focal;
  return clamp(value, -(center / focal + margin), (size - center) / focal + margin);
}

void main() {
  ivec2 texel = ivec2(gl_FragCoord.xy);
  texel.y -= int(frame.rows[10].x);
  footprint = dropped;
  conic = dropped;
  shade = dropped;
  if (texel.y * WIDTH + texel.x >= int(frame.rows[10].y)) return;
  vec4 triangle = texelFetch(corners, texel, 0);
  float opacity = triangle.w;
  if (!(opacity >= frame.rows[10].w)) return;

  vec3 v0 = corner(triangle.x), e0 = corner(triangle.y) - v0, e1 = corner(triangle.z) - v0;
  float base = length(e0);
  vec3 a0 = e0 / max(base, 1e-12);
  vec3 across = cross(a0, e1);
  float height = length(across);
  vec3 a1 = across / max(height, 1e-12);
  mat3 R = mat3(a0, a1, cross(a0, a1));
  float size = 0.5 * (base + height);
  vec3 mean = R * (size * texelFetch(positions, texel, 0).xyz) + v0 + (e0 + e1) / 3.0;

  vec3 p = vec3(
    dot(frame.rows[0], vec4(mean, 1.0)),
    dot(frame.rows[1], vec4(mean, 1.0)),
    dot(frame.rows[2], vec4(mean, 1.0)));
  vec4 lens = frame.rows[4], film = frame.rows[5];
  if (!(p.z >= film.z && p.z <= film.w)) return;

  bool parallel_rays = frame.rows[6].w > 0.5;
  vec3 to_x = lens.x * frame.rows[0].xyz, to_y = lens.y * frame.rows[1].xyz;
  vec2 center = lens.xy * p.xy + lens.zw;
  if (!parallel_rays) {
    float u = held(p.x / p.z, lens.x, lens.z, film.x), v = held(p.y / p.z, lens.y, lens.w, film.y);
    to_x = lens.x / p.z * (frame.rows[0].xyz - u * frame.rows[2].xyz);
    to_y = lens.y / p.z * (frame.rows[1].xyz - v * frame.rows[2].xyz);
    center = lens.xy * p.xy / p.z + lens.zw;
  }
  mat3 axes = R * rotation(texelFetch(quats, texel, 0));
  vec3 deviations = size * texelFetch(scales, texel, 0).xyz;
  vec3 U = (to_x * axes) * deviations, V = (to_y * axes) * deviations;
  float eps = frame.rows[10].z;
  float xx = eps + dot(U, U), xy = dot(U, V), yy = eps + dot(V, V);
  vec3 minors = cross(U, V);
  float det = eps * eps + eps * (dot(U, U) + dot(V, V)) + dot(minors, minors);
  float reach = 2.0 * log(opacity / frame.rows[10].w);
  vec2 extent = sqrt(reach * vec2(xx, yy));
  if (!(det > 0.0) || any(lessThan(center + extent, vec2(0.0)))
      || any(greaterThan(center - extent, film.xy))) return;

  vec3 ray = mean - frame.rows[6].xyz;
  vec3 view = vec3(
    dot(frame.rows[7].xyz, ray), dot(frame.rows[8].xyz, ray), dot(frame.rows[9].xyz, ray));
  footprint = vec4(center, p.z, opacity);
  conic = vec4(yy / det, -xy / det, xx / det, extent.x);
  shade = vec4(colour(texel, normalize(view)), extent.y);
}
"""

_NETWORK = """
vec3 colour(ivec2 texel, vec3 view) {
  vec4 latent[TEXELS];
  for (int k = 0; k < TEXELS; k++) {
    latent[k] = texelFetch(colours, ivec2(texel.x, texel.y * TEXELS + k), 0);
  }
  vec3 sum = frame.rows[11].xyz;
  for (int h = 0; h < HIDDEN; h++) {
    float unit = frame.bias[h / 4][h % 4];
    for (int k = 0; k < TEXELS; k++) {
      unit += dot(latent[k], texelFetch(weights, ivec2(k, h), 0));
    }
    unit += dot(view, texelFetch(weights, ivec2(TEXELS, h), 0).xyz);
    sum += max(unit, 0.0) * texelFetch(weights, ivec2(TEXELS + 1, h), 0).xyz;
  }
  return 1.0 / (1.0 + exp(-sum));
}
"""

_HARMONICS = """
float number(ivec2 texel, int index) {
  return texelFetch(colours, ivec2(texel.x, texel.y * TEXELS + index / 4), 0)[index % 4];
}

vec3 coefficient(ivec2 texel, int k) {
  return vec3(number(texel, 3 * k), number(texel, 3 * k + 1), number(texel, 3 * k + 2));
}

vec3 colour(ivec2 texel, vec3 d) {
  float xx = d.x * d.x, yy = d.y * d.y, zz = d.z * d.z;
  vec3 sum = vec3(0.5) + 0.28209479 * coefficient(texel, 0);
  if (HARMONICS > 1) {
    sum += 0.48860251 * (-d.y * coefficient(texel, 1) + d.z * coefficient(texel, 2)
      - d.x * coefficient(texel, 3));
  }
  if (HARMONICS > 4) {
    sum += 1.09254843 * d.x * d.y * coefficient(texel, 4)
      - 1.09254843 * d.y * d.z * coefficient(texel, 5)
      + 0.31539157 * (2.0 * zz - xx - yy) * coefficient(texel, 6)
      - 1.09254843 * d.x * d.z * coefficient(texel, 7)
      + 0.54627422 * (xx - yy) * coefficient(texel, 8);
  }
  if (HARMONICS > 9) {
    sum += -0.59004359 * d.y * (3.0 * xx - yy) * coefficient(texel, 9)
      + 2.89061144 * d.x * d.y * d.z * coefficient(texel, 10)
      - 0.45704580 * d.y * (4.0 * zz - xx - yy) * coefficient(texel, 11)
      + 0.37317633 * d.z * (2.0 * zz - 3.0 * xx - 3.0 * yy) * coefficient(texel, 12)
      - 0.45704580 * d.x * (4.0 * zz - xx - yy) * coefficient(texel, 13)
      + 1.44530572 * d.z * (xx - yy) * coefficient(texel, 14)
      - 0.59004359 * d.x * (xx - 3.0 * yy) * coefficient(texel, 15);
  }
  return max(sum, vec3(0.0));
}
"""

_QUAD = """
void main() {
  int rank = gl_InstanceID;
  int i = int(texelFetch(order, ivec2(rank % WIDTH, rank / WIDTH), 0).x);
  ivec2 texel = ivec2(i % WIDTH, i / WIDTH);
  vec4 mean = texelFetch(footprints, texel, 0);
  vec4 shape = texelFetch(conics, texel, 0);
  vec4 shown = texelFetch(shades, texel, 0);
  tint = vec4(shown.rgb, mean.w);
  form = shape.xyz;
  away = (mean.z - depths.x) * depths.y;
  from_mean = pos * vec2(shape.w, shown.w);
  vec2 at = (mean.xy + from_mean) / film * 2.0 - 1.0;
  gl_Position = mean.w > 0.0 ? vec4(at.x, -at.y, 0.0, 1.0) : vec4(0.0, 0.0, 2.0, 1.0);
}
"""

_BLEND = """
void main() {
  float q = 0.5 * (form.x * from_mean.x * from_mean.x + form.z * from_mean.y * from_mean.y)
    + form.y * from_mean.x * from_mean.y;
  float alpha = min(0.999, tint.a * exp(-q));
  if (q < 0.0 || alpha < 1.0 / 255.0) discard;
  picture = vec4(tint.rgb * alpha, alpha);
  distance_sum = vec4(away * alpha, 0.0, 0.0, alpha);
}
"""

_LAY_OVER = """
void main() {
  ivec2 texel = ivec2(uv * vec2(textureSize(picture, 0)));
  vec4 drawn = texelFetch(picture, texel, 0);
  if (drawn.a < 1.0 / 255.0) discard;
  vec4 sum = texelFetch(distances, texel, 0);
  float z = sum.x / max(sum.a, 1e-4) / depths.y + depths.x;
  // Rows 2 and 3 of the projection, in OpenGL's axes: depth is (A z' + B) / (C z' + D), z' = -z.
  float ndc = (-z * clip.x + clip.y) / (-z * clip.z + clip.w);
  gl_FragDepth = clamp(0.5 * ndc + 0.5, 0.0, 1.0);
  vec3 shown = clamp(drawn.rgb / drawn.a, 0.0, 1.0);
  vec3 linear = mix(
    shown / 12.92, pow((shown + 0.055) / 1.055, vec3(2.4)), step(vec3(0.04045), shown));
  colour = vec4((linear_target > 0.5 ? linear : shown) * drawn.a, drawn.a);
}
"""


@cache
def footprint_shader(kind: str, texels: int, units: int) -> gpu.types.GPUShader:
    """The first pass.

    Args:
        kind: ``"mlp"`` or ``"sh"``.
        texels: of a Gaussian's colour.
        units: hidden units of the network, or harmonics.
    """
    info = gpu.types.GPUShaderCreateInfo()
    info.define("WIDTH", str(WIDTH))
    info.define("TEXELS", str(texels))
    info.define("HIDDEN" if kind == "mlp" else "HARMONICS", str(units))
    names = ("vertices", "corners", "positions", "quats", "scales", "colours")
    for slot, name in enumerate((*names, "weights") if kind == "mlp" else names):
        info.sampler(slot, "FLOAT_2D", name)
    info.typedef_source(_BLOCK)
    info.uniform_buf(0, "Frame", "frame")
    info.vertex_in(0, "VEC2", "pos")
    for slot, name in enumerate(("footprint", "conic", "shade")):
        info.fragment_out(slot, "VEC4", name)
    info.vertex_source(_COVER)
    info.fragment_source((_NETWORK if kind == "mlp" else _HARMONICS) + _BIND)
    return gpu.shader.create_from_info(info)


@cache
def blend_shader() -> gpu.types.GPUShader:
    """The second pass."""
    info = gpu.types.GPUShaderCreateInfo()
    info.define("WIDTH", str(WIDTH))
    for slot, name in enumerate(("order", "footprints", "conics", "shades")):
        info.sampler(slot, "FLOAT_2D", name)
    info.push_constant("VEC2", "film")
    info.push_constant("VEC2", "depths")
    info.vertex_in(0, "VEC2", "pos")
    interface = gpu.types.GPUStageInterfaceInfo("gaussianspeech_blend")
    interface.flat("VEC4", "tint")
    interface.flat("VEC3", "form")
    interface.flat("FLOAT", "away")
    interface.smooth("VEC2", "from_mean")
    info.vertex_out(interface)
    info.fragment_out(0, "VEC4", "picture")
    info.fragment_out(1, "VEC4", "distance_sum")
    info.vertex_source(_QUAD)
    info.fragment_source(_BLEND)
    return gpu.shader.create_from_info(info)


@cache
def overlay_shader() -> gpu.types.GPUShader:
    """The third pass."""
    info = gpu.types.GPUShaderCreateInfo()
    info.sampler(0, "FLOAT_2D", "picture")
    info.sampler(1, "FLOAT_2D", "distances")
    info.push_constant("VEC4", "clip")
    info.push_constant("VEC2", "depths")
    info.push_constant("FLOAT", "linear_target")
    info.vertex_in(0, "VEC2", "pos")
    interface = gpu.types.GPUStageInterfaceInfo("gaussianspeech_overlay")
    interface.smooth("VEC2", "uv")
    info.vertex_out(interface)
    info.fragment_out(0, "VEC4", "colour")
    if hasattr(info, "depth_write"):
        info.depth_write("ANY")
    info.vertex_source("void main() { uv = 0.5 * pos + 0.5; gl_Position = vec4(pos, 0.0, 1.0); }")
    info.fragment_source(_LAY_OVER)
    return gpu.shader.create_from_info(info)
