// Small vectors and the matrices of an instance, over any number type.
#pragma once

#include "wide.h"

namespace fastsynth {

template <class T>
struct Vec3 {
  T x, y, z;
};
template <class T>
FS_HD Vec3<T> operator+(Vec3<T> a, Vec3<T> b) {
  return {a.x + b.x, a.y + b.y, a.z + b.z};
}
template <class T>
FS_HD Vec3<T> operator-(Vec3<T> a, Vec3<T> b) {
  return {a.x - b.x, a.y - b.y, a.z - b.z};
}
template <class T>
FS_HD Vec3<T> operator*(Vec3<T> a, T s) {
  return {a.x * s, a.y * s, a.z * s};
}
template <class T>
FS_HD T dot(Vec3<T> a, Vec3<T> b) {
  return a.x * b.x + a.y * b.y + a.z * b.z;
}
template <class T>
FS_HD Vec3<T> cross(Vec3<T> a, Vec3<T> b) {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}
// Unit vector; the zero vector stays zero.
template <class T>
FS_HD Vec3<T> normalize(Vec3<T> a) {
  const T length = sqrt(dot(a, a));
  const T scale = select(length > T(0.0f), T(1.0f) / length, T(0.0f));
  return a * scale;
}
// The same scalar vector in every lane.
template <class T>
FS_HD Vec3<T> spread(const float* p) {
  return {T(p[0]), T(p[1]), T(p[2])};
}

// Three rows of four: an affine map, applied to a point and to a direction.
struct Affine {
  float m[3][4];

  template <class T>
  FS_HD Vec3<T> point(Vec3<T> p) const {
    return {row(0, p), row(1, p), row(2, p)};
  }
  template <class T>
  FS_HD Vec3<T> direction(Vec3<T> d) const {
    return {T(m[0][0]) * d.x + T(m[0][1]) * d.y + T(m[0][2]) * d.z,
            T(m[1][0]) * d.x + T(m[1][1]) * d.y + T(m[1][2]) * d.z,
            T(m[2][0]) * d.x + T(m[2][1]) * d.y + T(m[2][2]) * d.z};
  }
  template <class T>
  FS_HD T row(int r, Vec3<T> p) const {
    return T(m[r][0]) * p.x + T(m[r][1]) * p.y + T(m[r][2]) * p.z + T(m[r][3]);
  }
};

// a after b.
FS_HD Affine compose(const Affine& a, const Affine& b) {
  Affine out;
  for (int r = 0; r < 3; ++r)
    for (int c = 0; c < 4; ++c)
      out.m[r][c] = a.m[r][0] * b.m[0][c] + a.m[r][1] * b.m[1][c] + a.m[r][2] * b.m[2][c] + (c == 3 ? a.m[r][3] : 0.0f);
  return out;
}

// The first three rows of a row-major 4 x 4 matrix.
FS_HD Affine load_affine(const float* matrix) {
  Affine out;
  for (int r = 0; r < 3; ++r)
    for (int c = 0; c < 4; ++c) out.m[r][c] = matrix[r * 4 + c];
  return out;
}

FS_HD float determinant(const Affine& a) {
  const Vec3<float> x{a.m[0][0], a.m[0][1], a.m[0][2]}, y{a.m[1][0], a.m[1][1], a.m[1][2]},
      z{a.m[2][0], a.m[2][1], a.m[2][2]};
  return dot(x, cross(y, z));
}

// Takes normals along: the inverse transpose times the determinant, that is the cofactors, turned outward again where
// the map mirrors. Lengths are not kept.
FS_HD Affine normal_map(const Affine& a) {
  const Vec3<float> x{a.m[0][0], a.m[0][1], a.m[0][2]}, y{a.m[1][0], a.m[1][1], a.m[1][2]},
      z{a.m[2][0], a.m[2][1], a.m[2][2]};
  const float sign = dot(x, cross(y, z)) < 0 ? -1.0f : 1.0f;
  const Vec3<float> rows[3] = {cross(y, z) * sign, cross(z, x) * sign, cross(x, y) * sign};
  Affine out;
  for (int r = 0; r < 3; ++r) {
    out.m[r][0] = rows[r].x;
    out.m[r][1] = rows[r].y;
    out.m[r][2] = rows[r].z;
    out.m[r][3] = 0.0f;
  }
  return out;
}

}  // namespace fastsynth
