// Filtered texture lookup: wrap modes, bilinear taps, mip levels.
//
// Texel centres lie at (i + 0.5) / size; row 0 on top. Texels are four bytes, decoded to linear light before they are
// weighted. The level is log2 of the longer of the two pixel footprint axes, in texels (isotropic, as in OpenGL 4.6
// section 8.14).
#pragma once

#include "color.h"

namespace fastsynth {

enum Wrap : int32_t { kRepeat = 0, kClamp = 1, kMirror = 2 };
constexpr int kMaxLevels = 16;

// Packed textures of mixed sizes; see the data model.
struct Textures {
  const int32_t* texels;   // RGBA, a byte each
  const int32_t* info;     // [T, 4] width, height, levels, wrap
  const int32_t* offsets;  // [T, 16]
  int32_t count;
};

template <class T>
struct Color {
  T r, g, b, a;
};

// Index of texel i of a row of n. `wrap` is the same in all lanes.
template <class I>
FS_HD I wrapped(I i, I n, int wrap) {
  if (wrap == kClamp) return min(max(i, I(0)), n - I(1));
  // The quotient by float division is exact where it matters: |i| stays below 2^23 (uv are reduced before).
  const auto whole = floor_int((to_float(i) + decltype(to_float(i))(0.5f)) / to_float(n));
  const I inside = min(max(i - multiply(whole, n), I(0)), n - I(1));
  if (wrap == kRepeat) return inside;
  return select((whole & I(1)) == I(1), n - I(1) - inside, inside);
}

template <class T, class I>
FS_HD Color<T> unpack(I texel, bool decode) {
  const T scale(1.0f / 255.0f);
  Color<T> c{to_float(texel & I(255)) * scale, to_float((texel >> 8) & I(255)) * scale,
             to_float((texel >> 16) & I(255)) * scale, to_float(shift_right_logical(texel, 24)) * scale};
  if (decode) c = {srgb_decode(c.r), srgb_decode(c.g), srgb_decode(c.b), c.a};
  return c;
}

template <class T>
FS_HD Color<T> mix(Color<T> a, Color<T> b, T part) {
  return {a.r + part * (b.r - a.r), a.g + part * (b.g - a.g), a.b + part * (b.b - a.b), a.a + part * (b.a - a.a)};
}

// Four taps in one level. The texture is the same in all lanes, the level is not.
template <class T, class I, class M>
FS_HD Color<T> bilinear(const Textures& textures, int32_t texture, I level, T u, T v, bool decode, M active) {
  const int32_t* info = textures.info + 4 * texture;
  const int wrap = info[3];
  const I width = max(shift_right(I(info[0]), level), I(1)), height = max(shift_right(I(info[1]), level), I(1));
  const I first = gather(textures.offsets + kMaxLevels * texture, level, active);
  const T x = u * to_float(width) - T(0.5f), y = v * to_float(height) - T(0.5f);
  const I left = floor_int(x), top = floor_int(y);
  const T part_x = x - to_float(left), part_y = y - to_float(top);
  const I x0 = wrapped(left, width, wrap), x1 = wrapped(left + I(1), width, wrap);
  const I y0 = first + multiply(wrapped(top, height, wrap), width),
          y1 = first + multiply(wrapped(top + I(1), height, wrap), width);
  const auto upper = mix(unpack<T>(gather(textures.texels, y0 + x0, active), decode),
                         unpack<T>(gather(textures.texels, y0 + x1, active), decode), part_x);
  const auto lower = mix(unpack<T>(gather(textures.texels, y1 + x0, active), decode),
                         unpack<T>(gather(textures.texels, y1 + x1, active), decode), part_x);
  return mix(upper, lower, part_y);
}

// Trilinear lookup. (u_x, v_x) and (u_y, v_y): change of uv per pixel. `mips` false: level 0 only.
template <class T, class M>
FS_HD Color<T> sample(const Textures& textures, int32_t texture, T u, T v, T u_x, T v_x, T u_y, T v_y, bool decode,
                      bool mips, M active) {
  const int32_t* info = textures.info + 4 * texture;
  // Far from the origin a float's fraction is lost and an index would overflow: take whole turns off (pairs of them,
  // for mirror).
  u = min(max(u, T(-8192.0f)), T(8192.0f));
  v = min(max(v, T(-8192.0f)), T(8192.0f));
  if (info[3] != kClamp) {
    u = u - T(2.0f) * to_float(floor_int(u * T(0.5f)));
    v = v - T(2.0f) * to_float(floor_int(v * T(0.5f)));
  }
  const auto zero = floor_int(T(0.0f));
  if (!mips || info[2] <= 1) return bilinear(textures, texture, zero, u, v, decode, active);
  const float columns = float(info[0]), rows = float(info[1]);
  const T width(columns), height(rows);
  const T ax = u_x * width, ay = v_x * height, bx = u_y * width, by = v_y * height;
  const T footprint = max(max(ax * ax + ay * ay, bx * bx + by * by), T(1e-12f));
  const T level = min(max(T(0.5f) * log2_of(min(footprint, T(1e30f))), T(0.0f)), T(float(info[2] - 1)));
  const auto lower = floor_int(level);
  const T part = level - to_float(lower);
  const Color<T> fine = bilinear(textures, texture, lower, u, v, decode, active);
  const auto blends = active & (part > T(0.0f));
  if (!any(blends)) return fine;
  return mix(fine, bilinear(textures, texture, min(lower + 1, decltype(lower)(info[2] - 1)), u, v, decode, blends),
             part);
}

}  // namespace fastsynth
