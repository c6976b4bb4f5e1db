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
  bool uniform;          // is only the constant term of `ambient` set, so that it is the same for every normal?
  bool local;            // does any light lie at a place?
};

template <class T>
struct Surface {
  Vec3<T> position;        // world; of use to glossy surfaces and local lights
  Vec3<T> normal, to_eye;  // world, unit; the latter of use to glossy surfaces
  Vec3<T> base;
  T metallic, roughness;
};

// Factors of the basis functions: the constant, the linear ones, products of two axes, z^2, and x^2 - y^2.
constexpr float kShConstant = 0.28209479f, kShLinear = 0.48860251f, kShProduct = 1.09254843f, kShZonal = 0.31539157f,
                kShSquare = 0.54627422f;

// Real spherical harmonics up to order 2 in a direction.
template <class T>
struct ShBasis {
  T at[9];

  FS_HD explicit ShBasis(Vec3<T> n)
      : at{T(kShConstant),
           T(kShLinear) * n.y,
           T(kShLinear) * n.z,
           T(kShLinear) * n.x,
           T(kShProduct) * n.x * n.y,
           T(kShProduct) * n.y * n.z,
           T(kShZonal) * (T(3.0f) * n.z * n.z - T(1.0f)),
           T(kShProduct) * n.x * n.z,
           T(kShSquare) * (n.x * n.x - n.y * n.y)} {}
};

// Reflected ambient light of a white diffuse surface: real spherical harmonics up to order 2, Ramamoorthi and Hanrahan
// 2001.
template <class T>
FS_HD Vec3<T> ambient_light(const float* sh, Vec3<T> n) {
  const ShBasis<T> basis(n);
  Vec3<T> sum{T(0.0f), T(0.0f), T(0.0f)};
  for (int i = 0; i < 9; ++i) sum = sum + spread<T>(sh + 3 * i) * basis.at[i];
  return {max(sum.x, T(0.0f)), max(sum.y, T(0.0f)), max(sum.z, T(0.0f))};
}

FS_HD bool uniform_ambient(const float* sh) {
  for (int i = 3; i < 27; ++i)
    if (sh[i] != 0.0f) return false;
  return true;
}
FS_HD bool any_local(const int32_t* kind, int32_t count) {
  for (int i = 0; i < count; ++i)
    if (kind[i] == kPoint || kind[i] == kSpot) return true;
  return false;
}

template <class T>
FS_HD Vec3<T> product(Vec3<T> a, Vec3<T> b) {
  return {a.x * b.x, a.y * b.y, a.z * b.z};
}

// What arrives from light i: the unit vector to it, and its strength times the cosine at the surface.
template <class T>
struct Arriving {
  Vec3<T> to_light;
  T strength, cosine, received;
};
template <class T>
FS_HD Arriving<T> arriving(const Lights& lights, int i, const Surface<T>& s) {
  const T zero(0.0f), one(1.0f);
  const int kind = lights.kind[i];
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
  const T cosine = max(dot(s.normal, to_light), zero);
  return {to_light, strength, cosine, strength * cosine};
}

// What a glossy surface reflects of light that arrives, beside its diffuse part; see glint().
template <class T>
struct Gloss {
  Vec3<T> f0;
  T rough, alpha, n_v;

  FS_HD explicit Gloss(const Surface<T>& s) {
    const T dielectric(0.04f);
    f0 = {dielectric + (s.base.x - dielectric) * s.metallic, dielectric + (s.base.y - dielectric) * s.metallic,
          dielectric + (s.base.z - dielectric) * s.metallic};
    rough = max(s.roughness, T(0.045f));
    alpha = rough * rough;
    n_v = max(dot(s.normal, s.to_eye), T(1e-4f));
  }

  FS_HD Vec3<T> reflected(int shading, const Surface<T>& s, const Arriving<T>& light, float glint = 1.0f) const {
    const T zero(0.0f), one(1.0f);
    const Vec3<T> half = normalize(light.to_light + s.to_eye);
    const T n_h = max(dot(s.normal, half), zero);
    if (shading == kBlinnPhong) {
      // Normalised Blinn-Phong: Akenine-Moeller et al., "Real-Time Rendering", 3rd ed., section 7.6.
      const T exponent = T(2.0f) / (alpha * alpha) - T(2.0f);
      return f0 * ((exponent + T(8.0f)) * T(0.125f * glint) * power(n_h, exponent));
    }
    // Trowbridge-Reitz distribution (Walter et al. 2007), height-correlated Smith visibility (Heitz 2014), Fresnel by
    // Schlick 1994.
    const T v_h = max(dot(s.to_eye, half), zero), n_l = light.cosine;
    const T a2 = alpha * alpha;
    const T base = n_h * n_h * (a2 - one) + one;
    const T distribution_pi = a2 / (base * base);  // times pi: the light's colour is irradiance / pi
    const T visibility =
        T(0.5f * glint) /
        max(n_l * sqrt(n_v * n_v * (one - a2) + a2) + n_v * sqrt(n_l * n_l * (one - a2) + a2), T(1e-6f));
    const T m = one - v_h, m2 = m * m, fresnel = m2 * m2 * m;
    const T lobe = distribution_pi * visibility;
    return {lobe * (f0.x + (one - f0.x) * fresnel), lobe * (f0.y + (one - f0.y) * fresnel),
            lobe * (f0.z + (one - f0.z) * fresnel)};
  }
};

// What keeps a light's light off a surface, and what of it gloss mirrors: nothing, and all. Lights of another kind
// (lit.h) have more to say.
struct Unhindered {
  template <class T>
  FS_HD T of(T value) const {
    return value;
  }
};
template <class T>
FS_HD Unhindered passage(const Lights&, int, const Surface<T>&, const Arriving<T>&) {
  return {};
}
FS_HD float glint(const Lights&, int) { return 1.0f; }

template <class T>
FS_HD Vec3<T> reflected_ambient(const Lights& lights, Vec3<T> normal) {
  if (!lights.uniform) return ambient_light(lights.ambient, normal);
  const Vec3<float> c{max(lights.ambient[0] * kShConstant, 0.0f), max(lights.ambient[1] * kShConstant, 0.0f),
                      max(lights.ambient[2] * kShConstant, 0.0f)};
  return {T(c.x), T(c.y), T(c.z)};
}

// What a glossy surface reflects of the light from everywhere.
template <class T>
FS_HD Vec3<T> reflected_around(const Lights& lights, const Surface<T>& s, const Gloss<T>& gloss, Vec3<T> diffuse) {
  const Vec3<T> ambient = diffuse + gloss.f0 * (T(1.0f) - T(0.5f) * gloss.rough);
  return product(reflected_ambient(lights, s.normal), ambient);
}

// Radiance of a white Lambertian surface; that of a coloured one is this times its colour.
template <class T, class L>
FS_HD Vec3<T> shade_white(const L& lights, const Surface<T>& s) {
  Vec3<T> light = reflected_ambient(lights, s.normal);
  for (int i = 0; i < lights.count; ++i) {
    if (lights.kind[i] == kOff) continue;
    const Arriving<T> a = arriving(lights, i, s);
    light = light + spread<T>(lights.color + 3 * i) * passage(lights, i, s, a).of(a.received);
  }
  return light;
}

// Radiance of a glossy surface whose diffuse part reflects `diffuse`: its own, or nothing for what glosses alone.
template <class T, class L>
FS_HD Vec3<T> shade_glossy(const L& lights, int shading, const Surface<T>& s, Vec3<T> diffuse) {
  const Gloss<T> gloss(s);
  Vec3<T> out = reflected_around(lights, s, gloss, diffuse);
  for (int i = 0; i < lights.count; ++i) {
    if (lights.kind[i] == kOff) continue;
    const Arriving<T> light = arriving(lights, i, s);
    const T received = passage(lights, i, s, light).of(light.received);
    const Vec3<T> gleam = gloss.reflected(shading, s, light, glint(lights, i));
    out = out + product(spread<T>(lights.color + 3 * i) * received, diffuse + gleam);
  }
  return out;
}

}  // namespace fastsynth
