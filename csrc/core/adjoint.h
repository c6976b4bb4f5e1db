// Sums of gradients over pixels, and where in a row of sums each parameter has its place.
#pragma once

#include "vec.h"

namespace fastsynth {

// A row for every instance of an image, and one for its background.
enum Row : int {
  kClipRow = 0,     // [3, 4] clip from object
  kWorldRow = 12,   // [3, 4] world from object
  kNormalRow = 24,  // [3, 3] what takes normals to the world
  kTintRow = 33,    // base colour
  kMetallicRow = 36,
  kRoughnessRow = 37,
  kEyeRow = 38,         // the camera's centre
  kBackgroundRow = 41,  // [2, 3] colours
  kGainRow = 47,        // of the three channels
  kAmbientRow = 50,     // [9, 3]
  kCropRow = 77,        // of the photograph
  kLightRow = 81,       // [L, 12] colour, direction, position, cone, gloss
};
constexpr int kLightNumbers = 12, kMaxLights = 16;
constexpr int kMaxRow = kLightRow + kLightNumbers * kMaxLights;
FS_HD int row_size(int lights) { return kLightRow + kLightNumbers * lights; }

// Which gradients are asked for, a bit each; fastsynth/ops/draw.py.
enum Wanted : int {
  kWantPose = 1,  // of instances and cameras
  kWantGain = 2,
  kWantAmbient = 4,
  kWantLights = 8,
  kWantLook = 16,        // base colours, metallic, roughness
  kWantBackground = 32,  // colours, the photograph's crop
  kWantTexels = 64,
  kWantEnvironment = 128,  // scale and turn of the panorama
};

// What the active lanes add to a row.
template <class T, class M>
struct RowSums {
  T* row;
  M active;
  int wanted;

  FS_HD bool wants(int what) const { return (wanted & what) != 0; }
  FS_HD void add(int k, T value) const { row[k] = select(active, row[k] + value, row[k]); }
  FS_HD void add(int k, Vec3<T> value) const {
    add(k, value.x);
    add(k + 1, value.y);
    add(k + 2, value.z);
  }
  // Of a matrix of `columns` columns that took the direction `from`.
  FS_HD void add_direction(int k, int columns, Vec3<T> grad, Vec3<T> from) const {
    add(k, from * grad.x);
    add(k + columns, from * grad.y);
    add(k + 2 * columns, from * grad.z);
  }
  // Of a matrix of four columns that took the point `from`.
  FS_HD void add_point(int k, Vec3<T> grad, Vec3<T> from) const {
    add_direction(k, 4, grad, from);
    add(k + 3, grad.x);
    add(k + 7, grad.y);
    add(k + 11, grad.z);
  }
};

template <class T>
FS_HD Vec3<T> zero_vector() {
  return {T(0.0f), T(0.0f), T(0.0f)};
}

// Of normalize(a), whose result was `unit`.
template <class T>
FS_HD Vec3<T> normalize_backward(Vec3<T> a, Vec3<T> unit, Vec3<T> grad) {
  const T length = sqrt(dot(a, a));
  const T scale = select(length > T(0.0f), T(1.0f) / length, T(0.0f));
  return (grad - unit * dot(unit, grad)) * scale;
}

// What `matrix` makes of the gradient of its result: the transpose's product.
template <class T>
FS_HD Vec3<T> direction_backward(const Affine& matrix, Vec3<T> grad) {
  const auto column = [&](int c) {
    return T(matrix.m[0][c]) * grad.x + T(matrix.m[1][c]) * grad.y + T(matrix.m[2][c]) * grad.z;
  };
  return {column(0), column(1), column(2)};
}

}  // namespace fastsynth
