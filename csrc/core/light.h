// Surface and lights to linear radiance. All colours are linear; a light's colour is the radiance that a white diffuse
// surface facing it reflects (irradiance / pi), so that diffuse reflection is colour * albedo * cos without a factor.
#pragma once

#include "color.h"

namespace fastsynth {

enum Shading : int32_t { kLambert = 0, kBlinnPhong = 1, kGgx = 2 };
enum LightKind : int32_t { kOff = 0, kDirectional = 1, kPoint = 2, kSpot = 3 };

// The lights of one image; pointers into [L, ...] rows.
struct Lights {
  int32_t count;
  const int32_t* kind;
  const float *position, *direction, *color, *cone;
  const float* ambient;  // [9, 3]
};

template <class T>
struct Surface {
  Vec3<T> position, normal, to_eye;  // world; unit
  Vec3<T> base;
  T metallic, roughness;
};

// Reflected ambient light of a white diffuse surface: real spherical harmonics up to order 2, Ramamoorthi and Hanrahan
// 2001.
template <class T>
FS_HD Vec3<T> ambient_light(const float* sh, Vec3<T> n) {
  const T basis[9] = {T(0.28209479f),
                      T(0.48860251f) * n.y,
                      T(0.48860251f) * n.z,
                      T(0.48860251f) * n.x,
                      T(1.09254843f) * n.x * n.y,
                      T(1.09254843f) * n.y * n.z,
                      T(0.31539157f) * (T(3.0f) * n.z * n.z - T(1.0f)),
                      T(1.09254843f) * n.x * n.z,
                      T(0.54627422f) * (n.x * n.x - n.y * n.y)};
  Vec3<T> sum{T(0.0f), T(0.0f), T(0.0f)};
  for (int i = 0; i < 9; ++i) sum = sum + spread<T>(sh + 3 * i) * basis[i];
  return {max(sum.x, T(0.0f)), max(sum.y, T(0.0f)), max(sum.z, T(0.0f))};
}

// Is only the constant term set? Then ambient light is the same for every normal.
FS_HD bool constant_ambient(const float* sh) {
  for (int i = 3; i < 27; ++i)
    if (sh[i] != 0.0f) return false;
  return true;
}

template <class T>
FS_HD Vec3<T> shade(const Lights& lights, int shading, const Surface<T>& s) {
  const T zero(0.0f), one(1.0f);
  const Vec3<T> f0{T(0.04f) + (s.base.x - T(0.04f)) * s.metallic, T(0.04f) + (s.base.y - T(0.04f)) * s.metallic,
                   T(0.04f) + (s.base.z - T(0.04f)) * s.metallic};
  const Vec3<T> diffuse = shading == kLambert ? s.base : s.base * (one - s.metallic);
  const T rough = max(s.roughness, T(0.045f));
  const T alpha = rough * rough;
  const T n_v = max(dot(s.normal, s.to_eye), T(1e-4f));

  Vec3<T> ambient;
  if (constant_ambient(lights.ambient)) {
    const Vec3<float> c{max(lights.ambient[0] * 0.28209479f, 0.0f), max(lights.ambient[1] * 0.28209479f, 0.0f),
                        max(lights.ambient[2] * 0.28209479f, 0.0f)};
    ambient = {T(c.x), T(c.y), T(c.z)};
  } else {
    ambient = ambient_light(lights.ambient, s.normal);
  }
  Vec3<T> out{ambient.x * diffuse.x, ambient.y * diffuse.y, ambient.z * diffuse.z};
  if (shading != kLambert) {
    const T gloss = one - T(0.5f) * rough;
    out = {out.x + ambient.x * f0.x * gloss, out.y + ambient.y * f0.y * gloss, out.z + ambient.z * f0.z * gloss};
  }
  for (int i = 0; i < lights.count; ++i) {
    const int kind = lights.kind[i];
    if (kind == kOff) continue;
    const Vec3<T> axis = spread<T>(lights.direction + 3 * i);
    Vec3<T> to_light{-axis.x, -axis.y, -axis.z};
    T strength = one;
    if (kind != kDirectional) {
      const Vec3<T> offset = spread<T>(lights.position + 3 * i) - s.position;
      const T square = max(dot(offset, offset), T(1e-8f));
      to_light = offset * (one / sqrt(square));
      strength = one / square;
      if (kind == kSpot) {
        const float inner = lights.cone[2 * i], outer = lights.cone[2 * i + 1];
        const T cosine = -dot(axis, to_light);
        const T t = min(max((cosine - T(outer)) / T(max(inner - outer, 1e-6f)), zero), one);
        strength = strength * (t * t * (T(3.0f) - T(2.0f) * t));
      }
    }
    const T n_l = max(dot(s.normal, to_light), zero);
    const T received = strength * n_l;
    const Vec3<T> light = spread<T>(lights.color + 3 * i) * received;
    Vec3<T> reflected = diffuse;
    if (shading == kBlinnPhong) {
      // Normalised Blinn-Phong: Akenine-Moeller et al., "Real-Time Rendering", 3rd ed., section 7.6.
      const Vec3<T> half = normalize(to_light + s.to_eye);
      const T exponent = T(2.0f) / (alpha * alpha) - T(2.0f);
      const T lobe = (exponent + T(8.0f)) * T(0.125f) * power(max(dot(s.normal, half), zero), exponent);
      reflected = {reflected.x + f0.x * lobe, reflected.y + f0.y * lobe, reflected.z + f0.z * lobe};
    } else if (shading == kGgx) {
      // Trowbridge-Reitz distribution (Walter et al. 2007), height-correlated Smith visibility (Heitz 2014), Fresnel by
      // Schlick 1994.
      const Vec3<T> half = normalize(to_light + s.to_eye);
      const T n_h = max(dot(s.normal, half), zero), v_h = max(dot(s.to_eye, half), zero);
      const T a2 = alpha * alpha;
      const T base = n_h * n_h * (a2 - one) + one;
      const T distribution_pi = a2 / (base * base);  // times pi: the light's colour is irradiance / pi
      const T visibility =
          T(0.5f) / max(n_l * sqrt(n_v * n_v * (one - a2) + a2) + n_v * sqrt(n_l * n_l * (one - a2) + a2), T(1e-6f));
      const T m = one - v_h, m2 = m * m, fresnel = m2 * m2 * m;
      const T lobe = distribution_pi * visibility;
      reflected = {reflected.x + lobe * (f0.x + (one - f0.x) * fresnel),
                   reflected.y + lobe * (f0.y + (one - f0.y) * fresnel),
                   reflected.z + lobe * (f0.z + (one - f0.z) * fresnel)};
    }
    out = {out.x + light.x * reflected.x, out.y + light.y * reflected.y, out.z + light.z * reflected.z};
  }
  return out;
}

}  // namespace fastsynth
