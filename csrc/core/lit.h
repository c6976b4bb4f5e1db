// Lights whose light may be kept off or mirrored more or less, and a panorama around them: what light.h asks them for,
// beside what all lights have.
#pragma once

#include "environment_backward.h"
#include "shadow.h"

namespace fastsynth {

struct LitLights : Lights {
  Shadows shadows;
  Environment environment;
  const float* glosses;  // [B, L] factors of what is mirrored
  int32_t first;         // of this image: a place takes fewer registers than a pointer

  FS_HD float gloss(int i) const { return glosses[first + i]; }
  FS_HD int environment_row() const { return row_size(count); }
};

// What of light i arrives, as a factor. See Unhindered.
template <class T>
struct Hindered {
  T part;

  FS_HD Hindered(const LitLights& lights, int i, const Surface<T>& s, const Arriving<T>& light) : part(1.0f) {
    if (lights.shadows.casts(i) && any(light.cosine > T(0.0f)))
      part = lit_part(lights.shadows, i, s.position, s.normal);
  }
  FS_HD T of(T value) const { return value * part; }
};
template <class T>
FS_HD Hindered<T> passage(const LitLights& lights, int i, const Surface<T>& s, const Arriving<T>& light) {
  return {lights, i, s, light};
}

FS_HD float glint(const LitLights& lights, int i) { return lights.gloss(i); }
template <class T, class M>
FS_HD Vec3<T> glint_backward(const LitLights& lights, int i, Vec3<T> whole, Vec3<T> grad, const RowSums<T, M>& sums) {
  if (sums.wants(kWantLights)) sums.add(kLightRow + kLightNumbers * i + 11, dot(grad, whole));
  return grad * T(lights.gloss(i));
}

template <class T>
FS_HD Vec3<T> reflected_around(const LitLights& lights, const Surface<T>& s, const Gloss<T>& gloss, Vec3<T> diffuse) {
  if (!lights.environment.there()) return reflected_around(static_cast<const Lights&>(lights), s, gloss, diffuse);
  return product(reflected_ambient(lights, s.normal), diffuse) + mirrored_light(lights.environment, s, gloss);
}
template <class T, class M>
FS_HD Vec3<T> around_backward(const LitLights& lights, const Surface<T>& s, const Gloss<T>& gloss, Vec3<T> diffuse,
                              Vec3<T> around, Vec3<T> grad, const RowSums<T, M>& sums, GlossBackward<T>& back,
                              Surface<T>& grad_s) {
  if (!lights.environment.there())
    return around_backward(static_cast<const Lights&>(lights), s, gloss, diffuse, around, grad, sums, back, grad_s);
  ambient_backward(lights, s.normal, around, product(grad, diffuse), sums, grad_s.normal);
  mirrored_backward(lights.environment, lights.environment_row(), s, gloss, grad, sums, back, grad_s);
  return product(grad, around);
}

}  // namespace fastsynth
