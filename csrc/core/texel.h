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

  // Of levels of w x h texels, whose first texels are `first`.
  template <class M>
  FS_HD void read(const Textures& textures, int wrap, I first, I w, I h, T u, T v, M active) {
    const T x = u * to_float(w) - T(0.5f), y = v * to_float(h) - T(0.5f);
    const T left_of = floor(x), top_of = floor(y);
    const I left = as_whole(left_of), top = as_whole(top_of);
    column[0] = wrapped(left, w, wrap);
    column[1] = wrapped(left + I(1), w, wrap);
    row[0] = first + multiply(wrapped(top, h, wrap), w);
    row[1] = first + multiply(wrapped(top + I(1), h, wrap), w);
    gather_two(textures.texels, row[0], column[0], column[1], active, texel[0], texel[1]);
    width = to_float(w);
    height = to_float(h);
    gather_two(textures.texels, row[1], column[0], column[1], active, texel[2], texel[3]);
    part_x = x - left_of;
    part_y = y - top_of;
  }

  FS_HD Color<T> blended(bool decode) const {
    const auto upper = mix(unpack<T>(texel[0], decode), unpack<T>(texel[1], decode), part_x);
    const auto lower = mix(unpack<T>(texel[2], decode), unpack<T>(texel[3], decode), part_x);
    return mix(upper, lower, part_y);
  }
};

// A trilinear lookup between its reads and its arithmetic: texels take their time to come, and other work fits in.
// What is read is written in place, as copies of so many vectors go through memory.
template <class T, class I>
struct Lookup {
  Taps<T, I> fine, coarse;
  T part;       // of the coarse level
  bool blends;  // does any lane need it?

  FS_HD Color<T> color(bool decode) const {
    const Color<T> near = fine.blended(decode);
    return blends ? mix(near, coarse.blended(decode), part) : near;
  }

  // `mips` false: level 0 only. The texture is the same in all lanes, the level is not.
  template <class M>
  FS_HD void read(const Textures& textures, int32_t texture, const Uv<T>& uv, bool mips, M active) {
    const int32_t* info = textures.info + 4 * texture;
    const T u = turned(uv.u, info[3]), v = turned(uv.v, info[3]);
    blends = false;
    if (!mips || info[2] <= 1) {
      const I first(textures.offsets[kMaxLevels * texture]);
      return fine.read(textures, info[3], first, I(info[0]), I(info[1]), u, v, active);
    }
    const T width = to_float(I(info[0])), height = to_float(I(info[1]));
    const T ax = uv.u_x * width, ay = uv.v_x * height, bx = uv.u_y * width, by = uv.v_y * height;
    const T footprint = max(max(ax * ax + ay * ay, bx * bx + by * by), T(1e-12f));
    const T level = min(max(T(0.5f) * log2_of(min(footprint, T(1e30f))), T(0.0f)), T(float(info[2] - 1)));
    const T below = floor(level);
    const I lower = as_whole(below);
    part = level - below;
    read_level(fine, textures, texture, lower, u, v, active);
    const auto between = active & (part > T(0.0f));
    blends = any(between);
    if (blends) read_level(coarse, textures, texture, min(lower + I(1), I(info[2] - 1)), u, v, between);
  }

 private:
  template <class M>
  static FS_HD void read_level(Taps<T, I>& taps, const Textures& textures, int32_t texture, I level, T u, T v,
                               M active) {
    const int32_t* info = textures.info + 4 * texture;
    const I width = max(shift_right(I(info[0]), level), I(1)), height = max(shift_right(I(info[1]), level), I(1));
    const I first = lookup_16(textures.offsets + kMaxLevels * texture, level);
    taps.read(textures, info[3], first, width, height, u, v, active);
  }
};

template <class T, class M>
FS_HD Color<T> sample(const Textures& textures, int32_t texture, const Uv<T>& uv, bool decode, bool mips, M active) {
  Lookup<T, decltype(floor_int(uv.u))> lookup;
  lookup.read(textures, texture, uv, mips, active);
  return lookup.color(decode);
}

}  // namespace fastsynth
