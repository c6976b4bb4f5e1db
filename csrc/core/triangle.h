// Exact triangle coverage.
//
// Corners are snapped to a 1/256 pixel grid and the edge functions are evaluated in integers, so every compiler,
// instruction set and device covers the same pixels. Floating point enters only after coverage is decided. Image space:
// x right, y down, pixel centres at half-integers. Pineda, "A Parallel Algorithm for Polygon Rasterization", 1988.
//
// Fill rule: a pixel centre on an edge belongs to the triangle for which that edge is a top or a left edge, so two
// triangles that share an edge never both claim a pixel and never both miss it.
//
// At pixel centres an edge function takes values that differ by multiples of 256 (one pixel step is 256 subpixels), so
// it is kept divided by 256, rounded down: the sign, which is all that matters, is the same, and 32 bits go a long way.
//
// Triangles of up to kSmall subpixels a side are set up in 32 bits, all lanes at once. The rest, and those that cross
// the near plane or leave the guard band, are clipped and set up one at a time in 64 bits.
#pragma once

#include "vec.h"

namespace fastsynth {

constexpr int kSubpixels = 256;
constexpr int32_t kSmall = 96 * kSubpixels;    // sides below this: products of two stay below 2^31
constexpr float kFar = 16384.0f * kSubpixels;  // [subpixels] corners beyond this are left to the clipper
constexpr float kGuard = 65536.0f;             // [pixels] width of the band that clipping keeps around the image
constexpr int kMaxCorners = 9;                 // of a triangle after six clipping planes

// A corner in clip space: visible where -w <= z <= w; y down.
template <class T>
struct Corner {
  T x, y, z, w;
};

// Clip space to subpixels: (ndc / 2 + 1/2) * pixels * 256, to the nearest, halves up.
template <class T>
FS_HD T snapped(T ndc, float pixels) {
  return (ndc * T(0.5f) + T(0.5f)) * T(pixels) * T(float(kSubpixels)) + T(0.5f);
}

// A triangle made ready for pixel tests. E is int32_t or int64_t.
template <class E>
struct Triangle {
  int32_t step_x[3], step_y[3];        // change of edge function i per pixel
  E edge[3];                           // edge function i at the centre of pixel (origin_x, origin_y)
  int32_t origin_x, origin_y;          // [pixels]
  int32_t min_x, min_y, max_x, max_y;  // [pixels] bounds inside the image, max exclusive
  float z_0, z_x, z_y;                 // z/w is linear in image space: at the origin, per pixel
  float z_min, z_max;                  // of the corners: a sliver's plane is not trusted beyond them
  int32_t id;

  template <class To>
  FS_HD Triangle<To> as() const {
    return {{step_x[0], step_x[1], step_x[2]},
            {step_y[0], step_y[1], step_y[2]},
            {To(edge[0]), To(edge[1]), To(edge[2])},
            origin_x,
            origin_y,
            min_x,
            min_y,
            max_x,
            max_y,
            z_0,
            z_x,
            z_y,
            z_min,
            z_max,
            id};
  }
};

// An edge that runs a to b owns the pixels on it when it is a left edge (going up) or a top edge (level, going right);
// the inside lies where the edge function is not negative.
template <class I>
FS_HD auto owns(I dx, I dy) {
  return (dy < I(0)) | ((dy == I(0)) & (dx > I(0)));
}

// First pixel whose centre is at or right of `least`; one past the last whose centre is at or left of `most`.
template <class I>
FS_HD I first_pixel(I least) {
  return (least + I(kSubpixels / 2 - 1)) >> 8;
}
template <class I>
FS_HD I end_pixel(I most) {
  return (most + I(kSubpixels / 2)) >> 8;
}

// One triangle from snapped corners, in 64 bits; false when it covers nothing. `facing` receives the sign of the area:
// negative = counter-clockwise as seen = front.
FS_HD bool set_up(const int32_t x[3], const int32_t y[3], const float z[3], int32_t id, int width, int height,
                  Triangle<int64_t>& t) {
  const int64_t area = int64_t(x[1] - x[0]) * (y[2] - y[0]) - int64_t(x[2] - x[0]) * (y[1] - y[0]);
  if (area == 0) return false;
  const int second = area > 0 ? 1 : 2, third = area > 0 ? 2 : 1;  // clockwise as seen, so that inside is positive
  const int order[3] = {0, second, third};
  t.min_x = max(first_pixel(min(min(x[0], x[1]), x[2])), 0);
  t.min_y = max(first_pixel(min(min(y[0], y[1]), y[2])), 0);
  t.max_x = min(end_pixel(max(max(x[0], x[1]), x[2])), width);
  t.max_y = min(end_pixel(max(max(y[0], y[1]), y[2])), height);
  if (t.min_x >= t.max_x || t.min_y >= t.max_y) return false;
  t.origin_x = t.min_x;
  t.origin_y = t.min_y;
  const int64_t px = int64_t(t.origin_x) * kSubpixels + kSubpixels / 2,
                py = int64_t(t.origin_y) * kSubpixels + kSubpixels / 2;
  for (int i = 0; i < 3; ++i) {
    const int a = order[i], b = order[i == 2 ? 0 : i + 1];
    const int64_t dx = int64_t(x[b]) - x[a], dy = int64_t(y[b]) - y[a];
    const int64_t edge = dx * (py - y[a]) - dy * (px - x[a]) - (owns(dx, dy) ? 0 : 1);
    t.edge[i] = edge >> 8;
    t.step_x[i] = static_cast<int32_t>(-dy);
    t.step_y[i] = static_cast<int32_t>(dx);
  }
  // Double precision: the origin may lie far outside a large triangle's corners.
  const double x1 = x[1] - x[0], y1 = y[1] - y[0], x2 = x[2] - x[0], y2 = y[2] - y[0];
  const double z1 = double(z[1]) - double(z[0]), z2 = double(z[2]) - double(z[0]);
  const double slope_x = (z1 * y2 - z2 * y1) / double(area), slope_y = (z2 * x1 - z1 * x2) / double(area);
  t.z_0 = float(double(z[0]) + slope_x * double(px - x[0]) + slope_y * double(py - y[0]));
  t.z_x = float(slope_x * kSubpixels);
  t.z_y = float(slope_y * kSubpixels);
  t.z_min = min(min(z[0], z[1]), z[2]);
  t.z_max = max(max(z[0], z[1]), z[2]);
  t.id = id;
  return true;
}

// Signed distance of a corner to clipping plane `plane`; inside is not negative. 0: near, 1: in front of the eye, 2 to
// 5: the guard band, so that snapped coordinates fit their integers.
FS_HD float plane_distance(const Corner<float>& c, int plane, float guard_x, float guard_y) {
  switch (plane) {
    case 0:
      return c.z + c.w;
    case 1:
      return c.w - 1e-18f;
    case 2:
      return guard_x * c.w - c.x;
    case 3:
      return guard_x * c.w + c.x;
    case 4:
      return guard_y * c.w - c.y;
    default:
      return guard_y * c.w + c.y;
  }
}

// Clips a convex polygon in place; returns the number of corners left. An edge is always cut going from its inside end
// to its outside end, so that two triangles sharing it get the same new corner. Sutherland and Hodgman, 1974.
FS_HD int clip(Corner<float>* polygon, int corners, int width, int height) {
  const float guard_x = kGuard / float(width), guard_y = kGuard / float(height);
  for (int plane = 0; plane < 6; ++plane) {
    Corner<float> kept[kMaxCorners];
    int left = 0;
    for (int i = 0; i < corners; ++i) {
      const Corner<float>&a = polygon[i], &b = polygon[i + 1 == corners ? 0 : i + 1];
      const float da = plane_distance(a, plane, guard_x, guard_y), db = plane_distance(b, plane, guard_x, guard_y);
      if (da >= 0 && left < kMaxCorners) kept[left++] = a;
      if (((da >= 0) != (db >= 0)) && left < kMaxCorners) {
        const bool a_inside = da >= 0;
        const Corner<float>&in = a_inside ? a : b, &out = a_inside ? b : a;
        const float d_in = a_inside ? da : db, d_out = a_inside ? db : da;
        const float part = d_in / (d_in - d_out);
        kept[left++] = {in.x + part * (out.x - in.x), in.y + part * (out.y - in.y), in.z + part * (out.z - in.z),
                        in.w + part * (out.w - in.w)};
      }
    }
    for (int i = 0; i < left; ++i) polygon[i] = kept[i];
    corners = left;
    if (corners < 3) return 0;
  }
  return corners;
}

// Where the ray through a pixel meets a triangle given in clip space (x, y, w): weights of the corners, depth and the
// change of the weights per pixel. Möller and Trumbore 1997; its numerators and denominator are linear in the ray, and
// are evaluated relative to the projection of corner 0, which keeps small far triangles accurate. No division by a
// corner's w but corner 0's, and none at all if that lies behind: triangles that cross the eye's plane work.
template <class T>
struct Hit {
  T w0, w1, w2;              // weights, each in [0, 1], sum 1
  T depth;                   // w at the pixel
  T w1_x, w1_y, w2_x, w2_y;  // change of weights 1 and 2 per pixel
  T facing;                  // positive when the corners run counter-clockwise as seen
};

template <class T>
FS_HD Hit<T> intersect(Vec3<T> v0, Vec3<T> v1, Vec3<T> v2, T ndc_x, T ndc_y, float ndc_per_pixel_x,
                       float ndc_per_pixel_y) {
  const Vec3<T> e1 = v1 - v0, e2 = v2 - v0;
  const Vec3<T> a_u = cross(v0, e2);  // u = d . a_u / d . a_d
  const Vec3<T> a_v = cross(e1, v0);
  const Vec3<T> a_d = cross(e2, e1);
  const auto ahead = v0.z > T(1e-6f);
  const T inverse = T(1.0f) / select(ahead, v0.z, T(1.0f));
  const T dx = ndc_x - select(ahead, v0.x * inverse, T(0.0f)), dy = ndc_y - select(ahead, v0.y * inverse, T(0.0f));
  const T dz = select(ahead, T(0.0f), T(1.0f));
  const T denominator = ndc_x * a_d.x + ndc_y * a_d.y + a_d.z;
  const T scale = T(1.0f) / denominator;
  const T u = (dx * a_u.x + dy * a_u.y + dz * a_u.z) * scale, v = (dx * a_v.x + dy * a_v.y + dz * a_v.z) * scale;
  Hit<T> hit;
  hit.facing = denominator;
  hit.w1_x = (a_u.x - u * a_d.x) * scale * T(ndc_per_pixel_x);
  hit.w1_y = (a_u.y - u * a_d.y) * scale * T(ndc_per_pixel_y);
  hit.w2_x = (a_v.x - v * a_d.x) * scale * T(ndc_per_pixel_x);
  hit.w2_y = (a_v.y - v * a_d.y) * scale * T(ndc_per_pixel_y);
  // The centre may lie outside by the snapping error, and the quotient may be anything on an edge-on triangle.
  hit.w1 = min(max(u, T(0.0f)), T(1.0f));
  hit.w2 = min(max(v, T(0.0f)), T(1.0f));
  const T sum = hit.w1 + hit.w2;
  const auto beyond = sum > T(1.0f);
  if (any(beyond)) {
    const T shrink = select(beyond, T(1.0f) / sum, T(1.0f));
    hit.w1 = hit.w1 * shrink;
    hit.w2 = hit.w2 * shrink;
  }
  hit.w0 = max(T(1.0f) - hit.w1 - hit.w2, T(0.0f));
  const T depth = dot(v0, a_d) * scale;
  const T nearest = max(min(min(v0.z, v1.z), v2.z), T(1e-18f)), farthest = max(max(v0.z, v1.z), v2.z);
  hit.depth = min(max(depth, nearest), farthest);
  return hit;
}

// Gradients by the corners' (x, y, w), given those by w0, w1 and depth of `intersect`.
//
// Corners are sheared so that the ray is d = (0, 0, 1): x - ndc_x w, y - ndc_y w, w, which keeps small far triangles
// accurate. With p = w0 v0 + w1 v1 + w2 v2 = depth d, a change of the corners moves p by q = w0 dv0 + w1 dv1 + w2 dv2,
// and the weights and the depth follow so that p stays on the ray:
//   dw1 = q . (e2 x d) / D,  dw2 = -q . (e1 x d) / D,  ddepth = q . (e2 x e1) / D,  D = d . (e2 x e1).
// So corner i receives w_i n, with one n for all three.
//
// Where a weight is held to [0, 1] its gradient is that of the hold, as is the depth's where it is held to that of a
// corner because the weights are; within the triangle the depth's bounds cut off nothing but rounding.
template <class T>
struct CornerGradients {
  Vec3<T> v[3];
};

template <class T>
FS_HD CornerGradients<T> intersect_adjoint(Vec3<T> v0, Vec3<T> v1, Vec3<T> v2, T ndc_x, T ndc_y, T by_w0, T by_w1,
                                           T by_depth) {
  const T zero(0.0f), one(1.0f);
  const auto sheared = [&](Vec3<T> c) { return Vec3<T>{c.x - ndc_x * c.z, c.y - ndc_y * c.z, c.z}; };
  const Vec3<T> s0 = sheared(v0), e1 = sheared(v1) - s0, e2 = sheared(v2) - s0, a_d = cross(e2, e1);
  // An edge-on triangle has no slopes that a float can hold.
  const auto has_slopes = abs(a_d.z) > T(1e-37f);
  const T scale = select(has_slopes, one / select(has_slopes, a_d.z, one), zero);
  const T u = (s0.x * e2.y - s0.y * e2.x) * scale, v = (e1.x * s0.y - e1.y * s0.x) * scale;
  const T depth = dot(s0, a_d) * scale;

  // Back through the holds: w0 = 1 - w1 - w2, both divided by their sum where that is beyond 1, both within [0, 1].
  const T w1 = min(max(u, zero), one), w2 = min(max(v, zero), one), sum = w1 + w2;
  const auto beyond = sum > one;
  const T shrink = select(beyond, one / (sum * sum), zero);
  const T apart = by_w1 * shrink;  // dw1 = (w2 du - w1 dv) / sum^2; their sum stays 1
  const T to_1 = select(beyond, apart * w2, by_w1 - by_w0), to_2 = select(beyond, zero - apart * w1, zero - by_w0);
  const auto u_free = (u >= zero) & (u <= one), v_free = (v >= zero) & (v <= one);
  const T to_u = select(u_free, to_1, zero), to_v = select(v_free, to_2, zero);
  const T nearest = min(min(v0.z, v1.z), v2.z), farthest = max(max(v0.z, v1.z), v2.z);
  const auto outside = mask_not(u_free & v_free & mask_not(beyond));
  const auto below = outside & (depth < max(nearest, T(1e-18f))), above = outside & (depth > farthest);
  const T to_depth = select(below | above, zero, by_depth);

  const T n_x = (e2.y * to_u - e1.y * to_v + a_d.x * to_depth) * scale,
          n_y = (e1.x * to_v - e2.x * to_u + a_d.y * to_depth) * scale;
  const Vec3<T> n{n_x, n_y, to_depth - ndc_x * n_x - ndc_y * n_y};
  CornerGradients<T> g{{n * (one - u - v), n * u, n * v}};
  const T held_to = select(below, nearest, farthest);  // the first corner of that depth receives the gradient
  const T held = select(above | (below & (nearest > T(1e-18f))), by_depth, zero);
  const auto is_0 = v0.z == held_to;
  const auto is_1 = mask_not(is_0) & (v1.z == held_to);
  const auto is_2 = mask_not(is_0 | is_1);
  g.v[0].z = g.v[0].z + select(is_0, held, zero);
  g.v[1].z = g.v[1].z + select(is_1, held, zero);
  g.v[2].z = g.v[2].z + select(is_2, held, zero);
  return g;
}

}  // namespace fastsynth
