// A change of an instance's base colour: what material, texture, vertices and tint make of it, taken through an affine
// map of linear r g b, and not below 0. Turns of the hue, and two colours in place of the black and white of a pattern.
#pragma once

#include "../core/vec.h"

namespace fastsynth {

// `map`: rows of [3, 4].
template <class T>
FS_HD Vec3<T> recolored(const float* map, Vec3<T> c) {
  const auto row = [&](const float* m) {
    return max(T(m[0]) * c.x + T(m[1]) * c.y + T(m[2]) * c.z + T(m[3]), T(0.0f));
  };
  return {row(map), row(map + 4), row(map + 8)};
}

// Gradient of `c` from that of `made`, which recolored() made of it.
template <class T>
FS_HD Vec3<T> recolored_backward(const float* map, Vec3<T> made, Vec3<T> grad) {
  const T zero(0.0f);
  const Vec3<T> g{select(made.x > zero, grad.x, zero), select(made.y > zero, grad.y, zero),
                  select(made.z > zero, grad.z, zero)};
  const auto column = [&](int k) { return T(map[k]) * g.x + T(map[4 + k]) * g.y + T(map[8 + k]) * g.z; };
  return {column(0), column(1), column(2)};
}

}  // namespace fastsynth
