// The plain ops over vertices and their pixels, transform and interpolate, and their adjoints.
#pragma once

#include "sums.h"

namespace fastsynth {

struct TransformVertices : ItemKernel<2048> {
  const float* vertices;  // [V, 3]
  const float* matrices;  // [B, 4, 4]
  int64_t images, count;
  float* out;  // [B, V, 4]

  FS_HD int64_t parts() const { return tiles_for(count); }
  FS_HD int64_t tiles() const { return images * parts(); }
  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>&) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int64_t image = tile.index / parts(), first = tile.index % parts() * kItems;
    const float *m = matrices + 16 * image, *p = vertices + 3 * first;
    float* to = out + 4 * (image * count + first);
    tile.for_each(int32_t(min(count - first, int64_t(kItems))), [&](Int i, Mask active) {
      const Int at = i + i + i;
      const Float x = gather(p, at, active), y = gather(p + 1, at, active), z = gather(p + 2, at, active);
      for (int r = 0; r < 4; ++r)
        scatter(to + r, i << 2,
                Float(m[4 * r]) * x + Float(m[4 * r + 1]) * y + Float(m[4 * r + 2]) * z + Float(m[4 * r + 3]), active);
    });
  }
};

// grad_vertices: each vertex gathers from all images, in their order.
struct TransformToVertices : ItemKernel<2048> {
  const float* grad;      // [B, V, 4]
  const float* matrices;  // [B, 4, 4]
  int64_t images, count;
  float* grad_vertices;  // [V, 3]

  FS_HD int64_t tiles() const { return tiles_for(count); }
  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>&) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int64_t first = tile.index * kItems;
    tile.for_each(int32_t(min(count - first, int64_t(kItems))), [&](Int i, Mask active) {
      Float sum[3] = {Float(0.0f), Float(0.0f), Float(0.0f)};
      for (int64_t image = 0; image < images; ++image) {
        const float *m = matrices + 16 * image, *g = grad + 4 * (image * count + first);
        for (int r = 0; r < 4; ++r) {
          const Float of_row = gather(g + r, i << 2, active);
          for (int c = 0; c < 3; ++c) sum[c] = sum[c] + Float(m[4 * r + c]) * of_row;
        }
      }
      for (int c = 0; c < 3; ++c) scatter(grad_vertices + 3 * first + c, i + i + i, sum[c], active);
    });
  }
};

// grad_matrices[r][c] = sum over the vertices of grad[r] * (x, y, z, 1)[c].
struct TransformToMatrices : ItemKernel<8192> {
  template <class Tile>
  struct Shared {
    int64_t sum[16];
  };
  const float* grad;      // [B, V, 4]
  const float* vertices;  // [V, 3]
  const int32_t* most;    // [2] bits of the largest magnitudes of grad and of vertices
  int64_t images, count;
  int32_t bits;    // of the number of terms
  int32_t* bound;  // [1] out
  int64_t* sum;    // [B, 4, 4]

  FS_HD int64_t parts() const { return tiles_for(count); }
  FS_HD int64_t tiles() const { return images * parts(); }
  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>& shared) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const float limit = as_float(most[0]) * max(as_float(most[1]), 1.0f);
    const Float scale(power_of_two(unit_exponent(limit, bits)));
    const int64_t image = tile.index / parts(), first = tile.index % parts() * kItems;
    const float *p = vertices + 3 * first, *g = grad + 4 * (image * count + first);
    typename Tile::UnitSum mine[16];
    tile.for_each(int32_t(min(count - first, int64_t(kItems))), [&](Int i, Mask active) {
      const Int at = i + i + i;
      const Float with[4] = {gather(p, at, active), gather(p + 1, at, active), gather(p + 2, at, active), Float(1.0f)};
      for (int r = 0; r < 4; ++r) {
        const Float of_row = gather(g + r, i << 2, active);
        for (int c = 0; c < 4; ++c) mine[4 * r + c].add(of_row * with[c] * scale, active);
      }
    });
    add_sums(tile, shared.sum, mine, [&](int32_t k) { return sum + 16 * image + k; });
    if (tile.index == 0) tile.for_one(1, [&](int32_t) { bound[0] = as_int(limit); });
  }
};

struct InterpolateView : ItemKernel<4096> {
  const float* attributes;     // [B or 1, V, C]
  const int32_t* faces;        // [F, 3]
  const int32_t* triangle_id;  // [B, H, W]
  const float* barycentric;    // [B, H, W, 2]
  int64_t images, pixels;      // pixels of an image
  int64_t attribute_stride;    // elements between images, 0 when shared
  int32_t channels, vertices, face_count;
  int32_t* bad;  // [1] 1 + a face that does not exist or names a vertex that is not there

  FS_HD int64_t parts() const { return tiles_for(pixels); }
  FS_HD int64_t tiles() const { return images * parts(); }

  // The corners at a pixel, and where there are any.
  template <class Int, class Mask>
  FS_KERNEL Mask corners(int64_t first, Int i, Mask active, Int& id, Int corner[3]) const {
    id = gather(triangle_id + first, i, active);
    Mask hit = active & (id >= Int(0));
    const Mask strays = hit & (id >= Int(face_count));
    if (any(strays)) atomic_max(bad, max_over(id, strays) + 1);
    hit = hit & mask_not(strays);
    for (int k = 0; k < 3; ++k) {
      corner[k] = gather(faces + k, id + id + id, hit);
      const Mask missing = hit & ((corner[k] < Int(0)) | (corner[k] >= Int(vertices)));
      if (any(missing)) atomic_max(bad, max_over(id, missing) + 1);
      hit = hit & mask_not(missing);
    }
    return hit;
  }
};

struct Interpolate : InterpolateView {
  float* out;  // [B, H, W, C]

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>&) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int64_t image = tile.index / parts(), first = image * pixels + tile.index % parts() * kItems;
    const float* values = attributes + image * attribute_stride;
    float* to = out + first * channels;
    tile.for_each(int32_t(min((image + 1) * pixels - first, int64_t(kItems))), [&](Int i, Mask active) {
      Int id, corner[3];
      const Mask hit = corners(first, i, active, id, corner);
      const Float w0 = gather(barycentric + 2 * first, i << 1, active),
                  w1 = gather(barycentric + 2 * first + 1, i << 1, active);
      const Float w2 = Float(1.0f) - w0 - w1;
      for (int32_t c = 0; c < channels; ++c) {
        Float sum(0.0f);
        const Float weights[3] = {w0, w1, w2};
        for (int k = 0; k < 3; ++k)
          sum = sum + weights[k] * gather(values + c, multiply(corner[k], Int(channels)), hit);
        scatter(to + c, multiply(i, Int(channels)), select(hit, sum, Float(0.0f)), active);
      }
    });
  }
};

// Gradients by barycentrics are gathered; those by attributes are added to their vertices, the pixels of a face that
// lie side by side at once.
struct InterpolateAdjoint : InterpolateView {
  const float* grad;        // [B, H, W, C]
  const int32_t* most;      // [2] bits of the largest magnitudes of grad and of barycentric
  int32_t bits;             // of the number of terms
  int32_t* bound;           // [1] out
  int64_t* sum;             // [B or 1, V, C] or null
  float* grad_barycentric;  // [B, H, W, 2] or null

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>&) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int64_t image = tile.index / parts(), first = image * pixels + tile.index % parts() * kItems;
    const float limit = sum ? as_float(most[0]) * (1.0f + 2.0f * as_float(most[1])) : 0.0f;  // weight 2: 1 - w0 - w1
    const float scale = power_of_two(unit_exponent(limit, bits));
    const float* g = grad + first * channels;
    tile.for_each(int32_t(min((image + 1) * pixels - first, int64_t(kItems))), [&](Int i, Mask active) {
      Int id, corner[3];
      const Mask hit = corners(first, i, active, id, corner);
      const Int at = multiply(i, Int(channels));
      if (grad_barycentric) {
        const float* values = attributes + image * attribute_stride;
        Float to_w0(0.0f), to_w1(0.0f);
        for (int32_t c = 0; c < channels; ++c) {
          Float value[3];
          for (int k = 0; k < 3; ++k) value[k] = gather(values + c, multiply(corner[k], Int(channels)), hit);
          const Float here = gather(g + c, at, hit);
          to_w0 = to_w0 + here * (value[0] - value[2]);
          to_w1 = to_w1 + here * (value[1] - value[2]);
        }
        scatter(grad_barycentric + 2 * first, i << 1, to_w0, active);
        scatter(grad_barycentric + 2 * first + 1, i << 1, to_w1, active);
      }
      if (!sum || !any(hit)) return;
      const Float w0 = gather(barycentric + 2 * first, i << 1, hit),
                  w1 = gather(barycentric + 2 * first + 1, i << 1, hit);
      const Float weights[3] = {w0 * Float(scale), w1 * Float(scale), (Float(1.0f) - w0 - w1) * Float(scale)};
      tile.for_unique(id, hit, [&](int32_t face, Mask same) {
        const int32_t* row = faces + 3 * int64_t(face);
        for (int32_t c = 0; c < channels; ++c) {
          const Float here = gather(g + c, at, same);
          for (int k = 0; k < 3; ++k)
            add_terms<Tile>(sum + image * attribute_stride + int64_t(row[k]) * channels + c, here * weights[k], same);
        }
      });
    });
    if (sum && tile.index == 0) tile.for_one(1, [&](int32_t) { bound[0] = as_int(limit); });
  }
};

}  // namespace fastsynth
