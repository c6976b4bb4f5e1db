// Light from all around, as a panorama on the octahedron (Praun and Hoppe 2003; Cigolle et al. 2014): a square map of
// all directions without trigonometry, whose z axis is the panorama's, so that a turn about z is one of the direction.
//
// Level 0 is the panorama, the others are its reflections in ever rougher surfaces, seen head-on, and what depends on the
// angle is a table: the split sum (Karis, "Real Shading in Unreal Engine 4", 2013). Every level has a border of a texel,
// so that a lookup needs no wrapping.
#pragma once

#include "light.h"

namespace fastsynth {

constexpr int kReflectanceSide = 32, kMostGlossLevels = 16;

// The panorama around one image.
struct Environment {
  const float* texels;           // [T, 4] of this panorama, or null
  const float* reflectance;      // [32, 32, 4] by n.v and roughness: factor of F0, what is added
  const int32_t *first, *sides;  // [16] first texel of each level, and texels along its side without the border
  int32_t levels;
  float scale, cosine, sine;  // of the radiance; of the turn about z

  FS_HD bool there() const { return texels != nullptr; }
};

// A direction on the square [-1, 1]^2, with what the way back needs.
template <class T>
struct Octahedral {
  Vec3<T> local;  // the direction in the panorama's frame
  T scale, a, b, inner_a, inner_b;

  FS_HD static T sign(T x) { return select(x < T(0.0f), T(-1.0f), T(1.0f)); }

  FS_HD Octahedral(const Environment& e, Vec3<T> d) {
    local = {T(e.cosine) * d.x + T(e.sine) * d.y, T(e.cosine) * d.y - T(e.sine) * d.x, d.z};
    scale = T(1.0f) / max(abs(local.x) + abs(local.y) + abs(local.z), T(1e-20f));
    inner_a = local.x * scale;
    inner_b = local.y * scale;
    const auto below = local.z < T(0.0f);
    a = select(below, (T(1.0f) - abs(inner_b)) * sign(inner_a), inner_a);
    b = select(below, (T(1.0f) - abs(inner_a)) * sign(inner_b), inner_b);
  }

  // Gradients of the direction before and of (cosine, sine) of the turn, from those of (a, b).
  FS_HD Vec3<T> backward(const Environment& e, Vec3<T> d, T grad_a, T grad_b, T& grad_cosine, T& grad_sine) const {
    const auto below = local.z < T(0.0f);
    const T turned = T(0.0f) - sign(inner_a) * sign(inner_b);
    const T ga = select(below, turned * grad_b, grad_a), gb = select(below, turned * grad_a, grad_b);
    const T along = (ga * inner_a + gb * inner_b) * scale;
    const Vec3<T> g{ga * scale - along * sign(local.x), gb * scale - along * sign(local.y),
                    T(0.0f) - along * sign(local.z)};
    grad_cosine = grad_cosine + g.x * d.x + g.y * d.y;
    grad_sine = grad_sine + g.x * d.y - g.y * d.x;
    return {T(e.cosine) * g.x - T(e.sine) * g.y, T(e.sine) * g.x + T(e.cosine) * g.y, g.z};
  }
};

// The four texels of a level around a place.
template <class T>
struct EnvironmentTaps {
  Vec3<T> texel[4];
  T part_x, part_y, side;

  template <class I>
  FS_HD void read(const Environment& e, I level, T a, T b) {
    const I size = lookup_16(e.sides, level);
    side = to_float(size);
    const T x = (a * T(0.5f) + T(0.5f)) * side + T(0.5f), y = (b * T(0.5f) + T(0.5f)) * side + T(0.5f);
    const T left = max(min(floor(x), side), T(0.0f)), top = max(min(floor(y), side), T(0.0f));
    part_x = x - left;
    part_y = y - top;
    const I row = size + I(2);
    const I at = lookup_16(e.first, level) + multiply(as_whole(top), row) + as_whole(left);
    const auto every = side > T(0.0f);
    for (int i = 0; i < 4; ++i) {
      T value[4];
      gather_row<4, 2>(e.texels, at + I(i & 1) + (i < 2 ? I(0) : row), every, value);
      texel[i] = {value[0], value[1], value[2]};
    }
  }
  FS_HD Vec3<T> color() const {
    const Vec3<T> upper = texel[0] + (texel[1] - texel[0]) * part_x, lower = texel[2] + (texel[3] - texel[2]) * part_x;
    return upper + (lower - upper) * part_y;
  }
  // Of (a, b), from that of the colour.
  FS_HD void slope(Vec3<T> grad, T& grad_a, T& grad_b) const {
    const Vec3<T> across = texel[1] - texel[0], across_2 = texel[3] - texel[2];
    const Vec3<T> upper = texel[0] + across * part_x, lower = texel[2] + across_2 * part_x;
    const T half = side * T(0.5f);
    grad_a = dot(grad, across + (across_2 - across) * part_y) * half;
    grad_b = dot(grad, lower - upper) * half;
  }
};

// Radiance of the panorama in a direction.
template <class T>
FS_APART Vec3<T> environment_radiance(const Environment& e, Vec3<T> d) {
  const Octahedral<T> at(e, d);
  EnvironmentTaps<T> taps;
  taps.read(e, as_whole(T(0.0f)), at.a, at.b);
  return taps.color() * T(e.scale);
}

// Between two numbers of a table's row.
template <class T, class I>
struct Reflectance {
  T x, y, part_x, part_y;
  T factor[4], added[4];

  FS_HD Reflectance(const Environment& e, T n_v, T rough) {
    const T side = T(float(kReflectanceSide)), zero(0.0f), last = side - T(1.0f);
    x = min(max(n_v * side - T(0.5f), zero), last);
    y = min(max(rough * side - T(0.5f), zero), last);
    const T left = min(floor(x), last - T(1.0f)), top = min(floor(y), last - T(1.0f));
    part_x = x - left;
    part_y = y - top;
    const I at = multiply(as_whole(top), I(kReflectanceSide)) + as_whole(left);
    for (int i = 0; i < 4; ++i) {
      T value[4];
      gather_row<4, 2>(e.reflectance, at + I((i & 1) + (i >> 1) * kReflectanceSide), x >= zero, value);
      factor[i] = value[0];
      added[i] = value[1];
    }
  }
  FS_HD T between(const T (&v)[4]) const {
    const T upper = v[0] + (v[1] - v[0]) * part_x, lower = v[2] + (v[3] - v[2]) * part_x;
    return upper + (lower - upper) * part_y;
  }
  FS_HD T by_x(const T (&v)[4]) const {
    return (v[1] - v[0] + (v[3] - v[2] - (v[1] - v[0])) * part_y) * T(float(kReflectanceSide));
  }
  FS_HD T by_y(const T (&v)[4]) const {
    const T upper = v[0] + (v[1] - v[0]) * part_x, lower = v[2] + (v[3] - v[2]) * part_x;
    return (lower - upper) * T(float(kReflectanceSide));
  }
};

// What a glossy surface mirrors of the panorama. A rough one's lobe does not lie around the reflected direction but nearer
// to the normal (Lagarde and de Rousiers, "Moving Frostbite to Physically Based Rendering", 2014): it is looked up at
// r + alpha (n - r), which is within 5 % of the integral as far as 70 degrees from the normal (docs/design/0007-light.md).
template <class T>
struct Mirrored {
  using I = decltype(as_whole(T(0.0f)));
  Vec3<T> away, direction;  // reflected; looked up
  Octahedral<T> at;
  EnvironmentTaps<T> fine, coarse;
  T part;
  Reflectance<T, I> table;
  Vec3<T> light, share;  // radiance; the part of it that is reflected

  FS_HD static Vec3<T> reflected(const Surface<T>& s) {
    const T twice = T(2.0f) * dot(s.normal, s.to_eye);
    return s.normal * twice - s.to_eye;
  }
  FS_HD Mirrored(const Environment& e, const Surface<T>& s, const Gloss<T>& gloss)
      : away(reflected(s)),
        direction(away + (s.normal - away) * gloss.alpha),
        at(e, direction),
        table(e, gloss.n_v, gloss.rough) {
    const T last = T(float(e.levels - 1));
    const T level = min(max(gloss.rough * last, T(0.0f)), last), lower = floor(level);
    part = level - lower;
    fine.read(e, as_whole(lower), at.a, at.b);
    coarse.read(e, as_whole(min(lower + T(1.0f), last)), at.a, at.b);
    const Vec3<T> near = fine.color();
    light = (near + (coarse.color() - near) * part) * T(e.scale);
    const T factor = table.between(table.factor), added = table.between(table.added);
    share = {gloss.f0.x * factor + added, gloss.f0.y * factor + added, gloss.f0.z * factor + added};
  }
};

template <class T>
FS_APART Vec3<T> mirrored_light(const Environment& e, const Surface<T>& s, const Gloss<T>& gloss) {
  const Mirrored<T> m(e, s, gloss);
  return product(m.light, m.share);
}

}  // namespace fastsynth
