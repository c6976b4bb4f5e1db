// Gradients of light.h, name by name.
#pragma once

#include "adjoint.h"
#include "light.h"

namespace fastsynth {

// `around`: what is reflected, and its gradient. Adds to `sums` and to the gradient of the normal.
template <class T, class M>
FS_HD void ambient_backward(const Lights& lights, Vec3<T> n, Vec3<T> around, Vec3<T> grad, const RowSums<T, M>& sums,
                            Vec3<T>& grad_n) {
  const T linear(kShLinear), product_2(kShProduct), zonal(kShZonal), square(kShSquare), zero(0.0f);
  const float* sh = lights.ambient;
  grad = {select(around.x > zero, grad.x, zero), select(around.y > zero, grad.y, zero),
          select(around.z > zero, grad.z, zero)};
  if (sums.wants(kWantAmbient)) {
    const ShBasis<T> basis(n);
    for (int i = 0; i < 9; ++i) sums.add(kAmbientRow + 3 * i, grad * basis.at[i]);
  }
  if (lights.uniform || !sums.wants(kWantPose)) return;
  T to[9];
  for (int i = 0; i < 9; ++i) to[i] = dot(spread<T>(sh + 3 * i), grad);
  const T two(2.0f);
  grad_n.x = grad_n.x + linear * to[3] + product_2 * (n.y * to[4] + n.z * to[7]) + two * square * n.x * to[8];
  grad_n.y = grad_n.y + linear * to[1] + product_2 * (n.x * to[4] + n.z * to[5]) - two * square * n.y * to[8];
  grad_n.z = grad_n.z + linear * to[2] + product_2 * (n.y * to[5] + n.x * to[7]) + T(6.0f) * zonal * n.z * to[6];
}

// Gradients of what is received, of the cosine by itself, and of the direction to the light by itself.
template <class T, class M>
FS_HD void arriving_backward(const Lights& lights, int i, const Surface<T>& s, const Arriving<T>& a, T grad_received,
                             T grad_cosine, Vec3<T> grad_to, const RowSums<T, M>& sums, Surface<T>& grad) {
  const T zero(0.0f), one(1.0f);
  const int kind = lights.kind[i], row = kLightRow + kLightNumbers * i;
  grad_cosine = select(a.cosine > zero, grad_cosine + grad_received * a.strength, zero);
  grad.normal = grad.normal + a.to_light * grad_cosine;
  grad_to = grad_to + s.normal * grad_cosine;
  const bool wanted = sums.wants(kWantLights);
  if (kind == kDirectional) {
    if (wanted) sums.add(row + 3, grad_to * T(-1.0f));
    return;
  }
  const Vec3<T> offset = spread<T>(lights.position + 3 * i) - s.position;
  const T distance_2 = dot(offset, offset), square = max(distance_2, T(1e-8f));
  T grad_strength = grad_received * a.cosine;
  const T grad_square = T(-1.0f) * grad_strength * a.strength / square;
  if (kind == kSpot) {
    const Vec3<T> axis = spread<T>(lights.direction + 3 * i);
    const float inner = lights.cone[2 * i], outer = lights.cone[2 * i + 1], wide = max(inner - outer, 1e-6f);
    const T t = min(max((T(-1.0f) * dot(axis, a.to_light) - T(outer)) / T(wide), zero), one);
    const T grad_t = grad_strength / square * T(6.0f) * t * (one - t) / T(wide);
    grad_to = grad_to - axis * grad_t;
    if (wanted) sums.add(row + 3, a.to_light * (T(-1.0f) * grad_t));
    if (wanted && inner - outer > 1e-6f) {
      sums.add(row + 9, T(-1.0f) * grad_t * t);
      sums.add(row + 10, grad_t * (t - one));
    }
  }
  const auto apart = distance_2 > T(1e-8f);
  const Vec3<T> grad_offset =
      (grad_to - a.to_light * dot(a.to_light, grad_to)) * (one / sqrt(square)) + offset * (T(2.0f) * grad_square);
  const Vec3<T> kept{select(apart, grad_offset.x, zero), select(apart, grad_offset.y, zero),
                     select(apart, grad_offset.z, zero)};
  if (wanted) sums.add(row + 6, kept);
  grad.position = grad.position - kept;
}

// Gradients of a gloss and of what it is made from, collected over the lights.
template <class T>
struct GlossBackward {
  Vec3<T> f0 = zero_vector<T>();
  T rough = T(0.0f), alpha = T(0.0f), n_v = T(0.0f);

  // Of `reflected`: adds to the gradients of the surface, of the cosine at it, and of the direction to the light.
  FS_HD void reflected(const Gloss<T>& gloss, int shading, const Surface<T>& s, const Arriving<T>& light, Vec3<T> grad,
                       Surface<T>& grad_s, T& grad_cosine, Vec3<T>& grad_to) {
    const T zero(0.0f), one(1.0f), two(2.0f);
    const Vec3<T> between = light.to_light + s.to_eye, half = normalize(between);
    const T n_h = max(dot(s.normal, half), zero), v_h = max(dot(s.to_eye, half), zero);
    T grad_n_h, grad_v_h(0.0f);
    const T a = gloss.alpha, a2 = a * a;
    if (shading == kBlinnPhong) {
      const T exponent = two / a2 - two, lobe = power(n_h, exponent), scale = (exponent + T(8.0f)) * T(0.125f);
      f0 = f0 + grad * (scale * lobe);
      const T grad_k = dot(grad, gloss.f0);
      grad_n_h = grad_k * scale * exponent * lobe / max(n_h, T(1e-6f));
      const T natural = log2_of(max(n_h, T(1e-30f))) * T(0.69314718f);
      alpha = alpha + grad_k * lobe * (T(0.125f) + scale * natural) * (T(-4.0f) / (a2 * a));
    } else {
      const T n_l = light.cosine, n_v_ = gloss.n_v;
      const Vec3<T> aside = cross(s.normal, half);  // its square is 1 - n_h^2 without the cancellation
      const T b = n_h * n_h * a2 + select(n_h > zero, dot(aside, aside), one), distribution = a2 / (b * b);
      const T from_v = sqrt(n_v_ * n_v_ * (one - a2) + a2), from_l = sqrt(n_l * n_l * (one - a2) + a2);
      const T q = n_l * from_v + n_v_ * from_l, visibility = T(0.5f) / max(q, T(1e-6f));
      const T m = one - v_h, m4 = m * m * m * m, fresnel = m4 * m, lobe = distribution * visibility;
      const Vec3<T> white{one, one, one}, rest = white - gloss.f0;
      f0 = f0 + grad * (lobe * (one - fresnel));
      grad_v_h = select(v_h > zero, T(-5.0f) * m4 * lobe * dot(grad, rest), zero);
      const T grad_lobe = dot(grad, gloss.f0 + rest * fresnel);
      const T grad_d = grad_lobe * visibility / (b * b);
      grad_n_h = grad_d * (a2 / b) * T(-4.0f) * n_h * (a2 - one);
      T grad_a2 = grad_d * (one - two * (a2 / b) * n_h * n_h);
      const T grad_q = select(q > T(1e-6f), T(-1.0f) * grad_lobe * lobe / max(q, T(1e-6f)), zero);
      grad_cosine = grad_cosine + grad_q * (from_v + n_v_ * n_l * (one - a2) / from_l);
      n_v = n_v + grad_q * (from_l + n_l * n_v_ * (one - a2) / from_v);
      grad_a2 = grad_a2 + grad_q * T(0.5f) * (n_l * (one - n_v_ * n_v_) / from_v + n_v_ * (one - n_l * n_l) / from_l);
      alpha = alpha + grad_a2 * two * a;
    }
    grad_n_h = select(n_h > zero, grad_n_h, zero);
    const Vec3<T> grad_between = normalize_backward(between, half, s.normal * grad_n_h + s.to_eye * grad_v_h);
    grad_s.normal = grad_s.normal + half * grad_n_h;
    grad_s.to_eye = grad_s.to_eye + half * grad_v_h + grad_between;
    grad_to = grad_to + grad_between;
  }

  // Of the constructor.
  FS_HD void made_from(const Gloss<T>& gloss, const Surface<T>& s, Surface<T>& grad_s) const {
    const T zero(0.0f), dielectric(0.04f);
    const T kept_n_v = select(dot(s.normal, s.to_eye) > T(1e-4f), n_v, zero);
    grad_s.normal = grad_s.normal + s.to_eye * kept_n_v;
    grad_s.to_eye = grad_s.to_eye + s.normal * kept_n_v;
    const T all_rough = rough + alpha * T(2.0f) * gloss.rough;
    grad_s.roughness = grad_s.roughness + select(s.roughness > T(0.045f), all_rough, zero);
    const Vec3<T> offset{s.base.x - dielectric, s.base.y - dielectric, s.base.z - dielectric};
    grad_s.base = grad_s.base + f0 * s.metallic;
    grad_s.metallic = grad_s.metallic + dot(f0, offset);
  }
};

// Of reflected_around(): returns the gradient of the diffuse colour.
template <class T, class M>
FS_HD Vec3<T> around_backward(const Lights& lights, const Surface<T>& s, const Gloss<T>& gloss, Vec3<T> diffuse,
                              Vec3<T> around, Vec3<T> grad, const RowSums<T, M>& sums, GlossBackward<T>& back,
                              Surface<T>& grad_s) {
  const T ambient_gloss = T(1.0f) - T(0.5f) * gloss.rough;
  const Vec3<T> grad_around = product(grad, diffuse + gloss.f0 * ambient_gloss);
  ambient_backward(lights, s.normal, around, grad_around, sums, grad_s.normal);
  const Vec3<T> grad_diffuse = product(grad, around);
  back.f0 = grad_diffuse * ambient_gloss;
  back.rough = T(-0.5f) * dot(grad_diffuse, gloss.f0);
  return grad_diffuse;
}

// Of glint(): from the gradient of what it has left of `whole` to that of the whole.
template <class T, class M>
FS_HD Vec3<T> glint_backward(const Lights&, int, Vec3<T>, Vec3<T> grad, const RowSums<T, M>&) {
  return grad;
}

// Of shade_white times the base colour, or of shade_glossy. Adds to `sums` and to the gradient of the surface. What
// keeps light off is taken as a constant.
template <class T, class M, class L>
FS_APART void shade_backward(const L& lights, int shading, const Surface<T>& s, Vec3<T> grad, const RowSums<T, M>& sums,
                             Surface<T>& grad_s) {
  const T zero(0.0f), one(1.0f);
  const Vec3<T> around = reflected_ambient(lights, s.normal), none = zero_vector<T>();
  if (shading == kLambert) {
    const Vec3<T> grad_white = product(grad, s.base);
    ambient_backward(lights, s.normal, around, grad_white, sums, grad_s.normal);
    Vec3<T> white = around;
    for (int i = 0; i < lights.count; ++i) {
      if (lights.kind[i] == kOff) continue;
      const Arriving<T> a = arriving(lights, i, s);
      const auto passes = passage(lights, i, s, a);
      const T received = passes.of(a.received);
      const Vec3<T> color = spread<T>(lights.color + 3 * i);
      white = white + color * received;
      if (sums.wants(kWantLights)) sums.add(kLightRow + kLightNumbers * i, grad_white * received);
      arriving_backward(lights, i, s, a, passes.of(dot(grad_white, color)), zero, none, sums, grad_s);
    }
    grad_s.base = grad_s.base + product(grad, white);
    return;
  }
  const Gloss<T> gloss(s);
  GlossBackward<T> back;
  const Vec3<T> diffuse = s.base * (one - s.metallic);
  Vec3<T> grad_diffuse = around_backward(lights, s, gloss, diffuse, around, grad, sums, back, grad_s);
  for (int i = 0; i < lights.count; ++i) {
    if (lights.kind[i] == kOff) continue;
    const Arriving<T> a = arriving(lights, i, s);
    const auto passes = passage(lights, i, s, a);
    const T received = passes.of(a.received);
    const Vec3<T> color = spread<T>(lights.color + 3 * i);
    const Vec3<T> whole = gloss.reflected(shading, s, a);
    const Vec3<T> grad_light = product(grad, diffuse + whole * T(glint(lights, i)));
    const Vec3<T> grad_part = product(grad, color * received);
    if (sums.wants(kWantLights)) sums.add(kLightRow + kLightNumbers * i, grad_light * received);
    grad_diffuse = grad_diffuse + grad_part;
    T grad_cosine(0.0f);
    Vec3<T> grad_to = none;
    back.reflected(gloss, shading, s, a, glint_backward(lights, i, whole, grad_part, sums), grad_s, grad_cosine,
                   grad_to);
    arriving_backward(lights, i, s, a, passes.of(dot(grad_light, color)), grad_cosine, grad_to, sums, grad_s);
  }
  back.made_from(gloss, s, grad_s);
  grad_s.base = grad_s.base + grad_diffuse * (one - s.metallic);
  grad_s.metallic = grad_s.metallic - dot(grad_diffuse, s.base);
}

}  // namespace fastsynth
