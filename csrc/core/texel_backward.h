// Gradients of texel.h's lookups, for colours alone.
#pragma once

#include "adjoint.h"
#include "texel.h"

namespace fastsynth {

// The colours of four taps, and what is made of them.
template <class T>
struct TapColors {
  Vec3<T> at[4], blended;

  template <class I>
  FS_HD TapColors(const Taps<T, I>& taps, bool decode) {
    for (int i = 0; i < 4; ++i) {
      const Color<T> c = unpack<T>(taps.texel[i], decode);
      at[i] = {c.r, c.g, c.b};
    }
    const Vec3<T> upper = at[0] + (at[1] - at[0]) * taps.part_x, lower = at[2] + (at[3] - at[2]) * taps.part_x;
    blended = upper + (lower - upper) * taps.part_y;
  }
};

// The way back from a lookup's colour. Colours are made from texels again where they are asked for: kept, they would
// take more registers than a GPU has.
template <class T, class I>
struct LookupBackward : Lookup<T, I> {
  using Lookup<T, I>::fine, Lookup<T, I>::coarse, Lookup<T, I>::part, Lookup<T, I>::blends;

  // Adds to the gradients of the coordinates and of their change per pixel.
  FS_HD void to_uv(Vec3<T> grad, bool decode, const int32_t* info, const Uv<T>& uv, Uv<T>& grad_uv) const {
    const TapColors<T> near(fine, decode);
    if (!blends) return level_to_uv(fine, near, grad, grad_uv);
    const TapColors<T> far(coarse, decode);
    level_to_uv(fine, near, grad * (T(1.0f) - part), grad_uv);
    level_to_uv(coarse, far, grad * part, grad_uv);
    // The level is half the logarithm of the longer axis' square, which receives 1 / (2 ln 2 square) of its slope.
    const T zero(0.0f), width{float(info[0])}, height{float(info[1])};
    const T ax = uv.u_x * width, ay = uv.v_x * height, bx = uv.u_y * width, by = uv.v_y * height;
    const T a = ax * ax + ay * ay, b = bx * bx + by * by;
    const T level = select(part > zero, dot(grad, far.blended - near.blended), zero);
    const T each = level * T(1.44269504f) / max(max(a, b), T(1e-12f));
    const auto a_longer = a > b;
    const T for_a = select(a_longer, each, zero), for_b = select(a_longer, zero, each);
    grad_uv.u_x = grad_uv.u_x + for_a * ax * width;
    grad_uv.v_x = grad_uv.v_x + for_a * ay * height;
    grad_uv.u_y = grad_uv.u_y + for_b * bx * width;
    grad_uv.v_y = grad_uv.v_y + for_b * by * height;
  }
  // Calls body(the first of two places side by side) for all texels.
  template <class F>
  FS_HD void for_places(const F& body) const {
    for (int i = 0; i < 2; ++i) body(fine.row[i] + fine.column[0]);
    if (!blends) return;
    for (int i = 0; i < 2; ++i) body(coarse.row[i] + coarse.column[0]);
  }
  // Calls add(two places side by side in a row of texels, the gradients of their coded values) for all texels.
  template <class Add>
  FS_HD void to_texels(Vec3<T> grad, bool decode, const Add& add) const {
    if (!blends) return level_to_texels(fine, grad, decode, add);
    level_to_texels(fine, grad * (T(1.0f) - part), decode, add);
    level_to_texels(coarse, grad * part, decode, add);
  }

 private:
  static FS_HD void level_to_uv(const Taps<T, I>& taps, const TapColors<T>& colors, Vec3<T> grad, Uv<T>& grad_uv) {
    const Vec3<T>* tap = colors.at;
    const T one(1.0f), right = taps.part_x, left = one - right, lower = taps.part_y, upper = one - lower;
    grad_uv.u = grad_uv.u + dot(grad, (tap[1] - tap[0]) * upper + (tap[3] - tap[2]) * lower) * taps.width;
    grad_uv.v = grad_uv.v + dot(grad, (tap[2] - tap[0]) * left + (tap[3] - tap[1]) * right) * taps.height;
  }
  template <class Add>
  static FS_HD void level_to_texels(const Taps<T, I>& taps, Vec3<T> grad, bool decode, const Add& add) {
    const T one(1.0f), right = taps.part_x, left = one - right, lower = taps.part_y, upper = one - lower;
    const T weight[4] = {left * upper, right * upper, left * lower, right * lower};
    Vec3<T> to[4];
    for (int i = 0; i < 4; ++i) {
      to[i] = grad * weight[i];
      if (!decode) continue;
      const Color<T> c = unpack<T>(taps.texel[i], false);
      to[i] = {to[i].x * srgb_decode_slope(c.r), to[i].y * srgb_decode_slope(c.g), to[i].z * srgb_decode_slope(c.b)};
    }
    for (int i = 0; i < 2; ++i)
      add(taps.row[i] + taps.column[0], taps.row[i] + taps.column[1], to[2 * i], to[2 * i + 1]);
  }
};

}  // namespace fastsynth
