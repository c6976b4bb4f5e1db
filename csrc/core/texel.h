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

// A texture coordinate without its whole turns (pairs of them, for mirror): far from the origin a float's fraction is
// lost and an index would overflow. `wrap` is the same in all lanes.
template <class T>
FS_HD T turned(T u, int wrap) {
  u = min(max(u, T(-8192.0f)), T(8192.0f));
  if (wrap == kRepeat) return u - floor(u);
  if (wrap == kMirror) return u - T(2.0f) * floor(u * T(0.5f));
  return u;
}

// Index of texel i of a row of n, for a coordinate that was turned: -1 <= i <= n, or 2 n for mirror.
template <class I>
FS_HD I wrapped(I i, I n, int wrap) {
  const I zero(0), last = n - I(1);
  if (wrap == kRepeat) i = select(i < zero, i + n, select(i > last, i - n, i));
  if (wrap == kMirror) i = select(i < zero, zero, select(i > last, last + n - i, i));
  return min(max(i, zero), last);
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

// Texture coordinates, and their change per pixel.
template <class T>
struct Uv {
  T u, v, u_x, v_x, u_y, v_y;
};

// The four texels around a place, and how far it lies between them.
template <class T, class I>
struct Taps {
  I texel[4];
  T part_x, part_y;
  I row[2], column[2];  // where they lie: row + column
  T width, height;      // of the level

  FS_HD Color<T> blended(bool decode) const {
    const auto upper = mix(unpack<T>(texel[0], decode), unpack<T>(texel[1], decode), part_x);
    const auto lower = mix(unpack<T>(texel[2], decode), unpack<T>(texel[3], decode), part_x);
    return mix(upper, lower, part_y);
  }
};

// Reads four taps of levels of width x height texels, whose first texels are `first`.
template <class T, class I, class M>
FS_HD Taps<T, I> read_taps(const Textures& textures, int wrap, I first, I width, I height, T u, T v, M active) {
  const T x = u * to_float(width) - T(0.5f), y = v * to_float(height) - T(0.5f);
  const T left_of = floor(x), top_of = floor(y);
  const I left = as_whole(left_of), top = as_whole(top_of);
  const I x0 = wrapped(left, width, wrap), x1 = wrapped(left + I(1), width, wrap);
  const I y0 = first + multiply(wrapped(top, height, wrap), width),
          y1 = first + multiply(wrapped(top + I(1), height, wrap), width);
  Taps<T, I> taps;
  taps.row[0] = y0;
  taps.row[1] = y1;
  taps.column[0] = x0;
  taps.column[1] = x1;
  taps.width = to_float(width);
  taps.height = to_float(height);
  gather_two(textures.texels, y0, x0, x1, active, taps.texel[0], taps.texel[1]);
  gather_two(textures.texels, y1, x0, x1, active, taps.texel[2], taps.texel[3]);
  taps.part_x = x - left_of;
  taps.part_y = y - top_of;
  return taps;
}

// The same in one level. The texture is the same in all lanes, the level is not.
template <class T, class I, class M>
FS_HD Taps<T, I> taps_at(const Textures& textures, int32_t texture, I level, T u, T v, M active) {
  const int32_t* info = textures.info + 4 * texture;
  const I width = max(shift_right(I(info[0]), level), I(1)), height = max(shift_right(I(info[1]), level), I(1));
  const I first = lookup_16(textures.offsets + kMaxLevels * texture, level);
  return read_taps(textures, info[3], first, width, height, u, v, active);
}

// A trilinear lookup between its reads and its arithmetic: texels take their time to come, and other work fits in.
template <class T, class I>
struct Lookup {
  Taps<T, I> fine, coarse;
  T part;       // of the coarse level
  bool blends;  // does any lane need it?

  FS_HD Color<T> color(bool decode) const {
    const Color<T> near = fine.blended(decode);
    return blends ? mix(near, coarse.blended(decode), part) : near;
  }
};

// `mips` false: level 0 only.
template <class T, class M>
FS_HD auto look_up(const Textures& textures, int32_t texture, const Uv<T>& uv, bool mips, M active) {
  using I = decltype(floor_int(uv.u));
  const int32_t* info = textures.info + 4 * texture;
  const T u = turned(uv.u, info[3]), v = turned(uv.v, info[3]);
  Lookup<T, I> lookup;
  lookup.blends = false;
  if (!mips || info[2] <= 1) {
    const I first(textures.offsets[kMaxLevels * texture]);
    lookup.fine = read_taps(textures, info[3], first, I(info[0]), I(info[1]), u, v, active);
    return lookup;
  }
  const T width = to_float(I(info[0])), height = to_float(I(info[1]));
  const T ax = uv.u_x * width, ay = uv.v_x * height, bx = uv.u_y * width, by = uv.v_y * height;
  const T footprint = max(max(ax * ax + ay * ay, bx * bx + by * by), T(1e-12f));
  const T level = min(max(T(0.5f) * log2_of(min(footprint, T(1e30f))), T(0.0f)), T(float(info[2] - 1)));
  const T below = floor(level);
  const I lower = as_whole(below);
  lookup.part = level - below;
  lookup.fine = taps_at(textures, texture, lower, u, v, active);
  const auto between = active & (lookup.part > T(0.0f));
  lookup.blends = any(between);
  if (lookup.blends) lookup.coarse = taps_at(textures, texture, min(lower + I(1), I(info[2] - 1)), u, v, between);
  return lookup;
}

template <class T, class M>
FS_HD Color<T> sample(const Textures& textures, int32_t texture, const Uv<T>& uv, bool decode, bool mips, M active) {
  return look_up(textures, texture, uv, mips, active).color(decode);
}

}  // namespace fastsynth
