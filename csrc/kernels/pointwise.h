// The plain ops over vertices and pixels: transform, interpolate, texture.
#pragma once

#include "../core/texel.h"
#include "../core/triangle.h"
#include "../schedule/atomic.h"

namespace fastsynth {

// A kernel whose items are independent: tiles of kItems of them.
template <int kItems_>
struct ItemKernel {
  static constexpr int kItems = kItems_;
  template <class Tile>
  struct Shared {};
  template <class Tile>
  static constexpr int lanes() {
    return 256;
  }
  static FS_HD int64_t tiles_for(int64_t items) { return (items + kItems - 1) / kItems; }
};

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

struct Interpolate : ItemKernel<4096> {
  const float* attributes;     // [B or 1, V, C]
  const int32_t* faces;        // [F, 3]
  const int32_t* triangle_id;  // [B, H, W]
  const float* barycentric;    // [B, H, W, 2]
  int64_t images, pixels;      // pixels of an image
  int64_t attribute_stride;    // elements between images, 0 when shared
  int32_t channels, vertices, face_count;
  float* out;    // [B, H, W, C]
  int32_t* bad;  // [1] 1 + a face that does not exist or names a vertex that is not there

  FS_HD int64_t parts() const { return tiles_for(pixels); }
  FS_HD int64_t tiles() const { return images * parts(); }
  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>&) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int64_t image = tile.index / parts(), first = image * pixels + tile.index % parts() * kItems;
    const float* values = attributes + image * attribute_stride;
    float* to = out + first * channels;
    tile.for_each(int32_t(min((image + 1) * pixels - first, int64_t(kItems))), [&](Int i, Mask active) {
      const Int id = gather(triangle_id + first, i, active);
      Mask hit = active & (id >= Int(0));
      const Mask strays = hit & (id >= Int(face_count));
      if (any(strays)) atomic_max(bad, max_over(id, strays) + 1);
      hit = hit & mask_not(strays);
      Int corner[3];
      for (int k = 0; k < 3; ++k) {
        corner[k] = gather(faces + k, id + id + id, hit);
        const Mask missing = hit & ((corner[k] < Int(0)) | (corner[k] >= Int(vertices)));
        if (any(missing)) atomic_max(bad, max_over(id, missing) + 1);
        hit = hit & mask_not(missing);
      }
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

// Filtered lookup in float textures, one a picture or one for all.
struct TextureLookup : ItemKernel<1024> {
  const float* level[kMaxLevels];  // each [B or 1, h, w, C]
  int32_t level_width[kMaxLevels], level_height[kMaxLevels];
  int64_t level_stride[kMaxLevels];  // elements between images, 0 when shared
  int32_t levels, channels, wrap, nearest;
  const float* uv;     // [B, H, W, 2]
  const float* uv_da;  // [B, H, W, 4] du/dx du/dy dv/dx dv/dy, per pixel; or null: level 0
  int64_t images, pixels;
  float* out;  // [B, H, W, C]

  FS_HD int64_t parts() const { return tiles_for(pixels); }
  FS_HD int64_t tiles() const { return images * parts(); }
  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>&) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int64_t image = tile.index / parts(), first = image * pixels + tile.index % parts() * kItems;
    float* to = out + first * channels;
    tile.for_each(int32_t(min((image + 1) * pixels - first, int64_t(kItems))), [&](Int i, Mask active) {
      const Float u = turned(gather(uv + 2 * first, i << 1, active), wrap),
                  v = turned(gather(uv + 2 * first + 1, i << 1, active), wrap);
      Float lod(0.0f);
      if (uv_da && levels > 1) {
        const float* d = uv_da + 4 * first;
        const Int at = i << 2;
        const float columns = float(level_width[0]), rows = float(level_height[0]);
        const Float width(columns), height(rows);
        const Float ax = gather(d, at, active) * width, bx = gather(d + 1, at, active) * width;
        const Float ay = gather(d + 2, at, active) * height, by = gather(d + 3, at, active) * height;
        const Float footprint = max(max(ax * ax + ay * ay, bx * bx + by * by), Float(1e-12f));
        lod = min(max(Float(0.5f) * log2_of(min(footprint, Float(1e30f))), Float(0.0f)), Float(float(levels - 1)));
      }
      const Int lower = floor_int(lod);
      const Float part = lod - to_float(lower);
      tile.for_unique(lower, active, [&](int32_t l, Mask same) {
        const bool blends = any(same & (part > Float(0.0f))) && l + 1 < levels;
        for (int32_t c = 0; c < channels; ++c) {
          Float value = taps<Float, Int>(image, l, c, u, v, same);
          if (blends) value = value + part * (taps<Float, Int>(image, l + 1, c, u, v, same) - value);
          scatter(to + c, multiply(i, Int(channels)), value, same);
        }
      });
    });
  }

 private:
  template <class Float, class Int, class Mask>
  FS_KERNEL Float taps(int64_t image, int32_t l, int32_t channel, Float u, Float v, Mask active) const {
    const Int width(level_width[l]), height(level_height[l]);
    const float* values = level[l] + image * level_stride[l] + channel;
    const Float half(nearest ? 0.0f : 0.5f);
    const Float x = u * to_float(width) - half, y = v * to_float(height) - half;
    const Int left = floor_int(x), top = floor_int(y);
    const auto at = [&](Int column, Int row) {
      return gather(values,
                    multiply(multiply(wrapped(row, height, wrap), width) + wrapped(column, width, wrap), Int(channels)),
                    active);
    };
    if (nearest) return at(left, top);
    const Float px = x - to_float(left), py = y - to_float(top);
    const Float a = at(left, top), b = at(left + Int(1), top), c = at(left, top + Int(1)),
                d = at(left + Int(1), top + Int(1));
    const Float upper = a + px * (b - a), lower = c + px * (d - c);
    return upper + py * (lower - upper);
  }
};

}  // namespace fastsynth
