// Gradients of environment.h.
#pragma once

#include "environment.h"
#include "light_backward.h"

namespace fastsynth {

// Behind a row of sums (adjoint.h): of the panorama's scale, and of the cosine and sine of its turn.
constexpr int kEnvironmentNumbers = 3;

template <class T, class M>
FS_HD void add_environment(const Environment& e, int row, Vec3<T> light, Vec3<T> grad, T grad_cosine, T grad_sine,
                           const RowSums<T, M>& sums) {
  const float scale = e.scale;
  // `light` has the scale in it; where that is 0, the light without it is not known and has no gradient.
  if (scale != 0.0f) sums.add(row, dot(grad, light) * T(1.0f / scale));
  sums.add(row + 1, grad_cosine);
  sums.add(row + 2, grad_sine);
}

// Of environment_radiance() in direction d.
template <class T, class M>
FS_APART void environment_backward(const Environment& e, int row, Vec3<T> d, Vec3<T> grad, const RowSums<T, M>& sums) {
  const Octahedral<T> at(e, d);
  EnvironmentTaps<T> taps;
  taps.read(e, as_whole(T(0.0f)), at.a, at.b);
  T grad_a, grad_b, grad_cosine(0.0f), grad_sine(0.0f);
  taps.slope(grad * T(e.scale), grad_a, grad_b);
  at.backward(e, d, grad_a, grad_b, grad_cosine, grad_sine);
  add_environment(e, row, taps.color() * T(e.scale), grad, grad_cosine, grad_sine, sums);
}

// Of mirrored_light(): adds to the gradients of the gloss, of the normal and of the direction to the eye.
template <class T, class M>
FS_APART void mirrored_backward(const Environment& e, int row, const Surface<T>& s, const Gloss<T>& gloss, Vec3<T> grad,
                                const RowSums<T, M>& sums, GlossBackward<T>& back, Surface<T>& grad_s) {
  const T zero(0.0f), last = T(float(e.levels - 1));
  const Mirrored<T> m(e, s, gloss);
  const Vec3<T> grad_light = product(grad, m.share), grad_share = product(grad, m.light);
  const T factor = m.table.between(m.table.factor), all = grad_share.x + grad_share.y + grad_share.z;
  const T by_factor = dot(grad_share, gloss.f0);
  back.f0 = back.f0 + grad_share * factor;
  // Where a table or the levels end they are held.
  const T end = T(float(kReflectanceSide - 1));
  const auto free_x = (m.table.x > zero) & (m.table.x < end), free_y = (m.table.y > zero) & (m.table.y < end);
  back.n_v =
      back.n_v + select(free_x, by_factor * m.table.by_x(m.table.factor) + all * m.table.by_x(m.table.added), zero);
  back.rough =
      back.rough + select(free_y, by_factor * m.table.by_y(m.table.factor) + all * m.table.by_y(m.table.added), zero);
  const Vec3<T> scaled = grad_light * T(e.scale);
  back.rough = back.rough + select(gloss.rough < T(1.0f), dot(scaled, m.coarse.color() - m.fine.color()) * last, zero);
  T fine_a, fine_b, coarse_a, coarse_b, grad_cosine(0.0f), grad_sine(0.0f);
  m.fine.slope(scaled * (T(1.0f) - m.part), fine_a, fine_b);
  m.coarse.slope(scaled * m.part, coarse_a, coarse_b);
  const Vec3<T> grad_d = m.at.backward(e, m.direction, fine_a + coarse_a, fine_b + coarse_b, grad_cosine, grad_sine);
  if (sums.wants(kWantEnvironment)) add_environment(e, row, m.light, grad_light, grad_cosine, grad_sine, sums);
  back.alpha = back.alpha + dot(grad_d, s.normal - m.away);
  const Vec3<T> grad_away = grad_d * (T(1.0f) - gloss.alpha);
  const T cosine = dot(s.normal, s.to_eye), along = dot(grad_away, s.normal);
  grad_s.normal = grad_s.normal + grad_d * gloss.alpha + (grad_away * cosine + s.to_eye * along) * T(2.0f);
  grad_s.to_eye = grad_s.to_eye + s.normal * (along * T(2.0f)) - grad_away;
}

}  // namespace fastsynth
