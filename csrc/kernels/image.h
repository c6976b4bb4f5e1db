// Ops on pictures and id maps: blur along an axis, exposure with noise and tone curve, extents of instances.
#pragma once

#include "pointwise.h"

namespace fastsynth {

// Gaussian along rows or columns; the border pixel is repeated outside.
struct Blur : ItemKernel<4096> {
  const float* in;     // [B, C, H, W]
  const float* sigma;  // [B] [pixels]
  int64_t images;
  int32_t channels, height, width, radius;
  int32_t vertical;
  float* out;

  FS_HD int64_t count() const { return int64_t(channels) * height * width; }
  FS_HD int64_t parts() const { return tiles_for(count()); }
  FS_HD int64_t tiles() const { return images * parts(); }
  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>&) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int64_t image = tile.index / parts(), first = tile.index % parts() * kItems;
    const float* p = in + image * count();
    // At sigma 0 all the weight lies on the pixel itself.
    const float s = max(sigma[image], 1e-3f);
    const float scale = -0.5f * 1.44269504f / (s * s);
    tile.for_each(int32_t(min(count() - first, int64_t(kItems))), [&](Int k, Mask active) {
      const Int i = k + Int(int32_t(first));
      const Int row = floor_int((to_float(i) + Float(0.5f)) / Float(float(width)));
      const Int x = i - multiply(row, Int(width));
      const Int y = row - multiply(floor_int((to_float(row) + Float(0.5f)) / Float(float(height))), Int(height));
      const Int along = vertical ? y : x;
      const Int last(vertical ? height - 1 : width - 1), step(vertical ? width : 1);
      const Int base = i - multiply(along, step);
      Float sum(0.0f);
      float weights = 0;
      for (int32_t t = -radius; t <= radius; ++t) {
        const float weight = exp2_of(scale * float(t * t));
        weights = weights + weight;
        const Int at = min(max(along + Int(t), Int(0)), last);
        sum = sum + Float(weight) * gather(p, base + multiply(at, step), active);
      }
      scatter(out + image * count() + first, k, sum * Float(1.0f / weights), active);
    });
  }
};

// Linear light to display: gain, shot and read noise, tone curve.
struct Develop : ItemKernel<4096> {
  const float* in;             // [B, 3, H, W] linear
  const float* exposure;       // [B]
  const float* white_balance;  // [B, 3]
  const float* noise;          // [B, 2] or null
  const float* normal;         // [B, 3, H, W] standard normal, with noise
  int64_t images, pixels;
  int32_t tone;
  float* out_float;  // one of the two
  uint8_t* out_byte;

  FS_HD int64_t parts() const { return tiles_for(pixels); }
  FS_HD int64_t tiles() const { return images * 3 * parts(); }
  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>&) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int64_t plane = tile.index / parts(), image = plane / 3,
                  first = plane * pixels + tile.index % parts() * kItems;
    const float gain = exp2_of(exposure[image]) * white_balance[plane];
    tile.for_each(int32_t(min((plane + 1) * pixels - first, int64_t(kItems))), [&](Int i, Mask active) {
      Float light = gather(in + first, i, active) * Float(gain);
      if (noise) {
        const float shot = noise[2 * image], read = noise[2 * image + 1];
        const Float deviation = sqrt(Float(shot * shot) * max(light, Float(0.0f)) + Float(read * read));
        light = light + deviation * gather(normal + first, i, active);
      }
      const Float shown = develop(light, tone);
      if (out_byte) {
        scatter(out_byte + first, i, to_int(shown * Float(255.0f) + Float(0.5f)), active);
      } else {
        scatter(out_float + first, i, shown, active);
      }
    });
  }
};

// Extents before anything was seen.
struct ClearSeen : ItemKernel<4096> {
  int32_t* seen;  // [count, 5]
  int64_t count;

  FS_HD ClearSeen(int32_t* s, int64_t n) : seen(s), count(n) {}
  FS_HD int64_t tiles() const { return tiles_for(count); }
  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>&) const {
    const int64_t first = tile.index * kItems;
    tile.for_one(int32_t(min(count - first, int64_t(kItems))), [&](int32_t i) {
      int32_t* s = seen + 5 * (first + i);
      s[0] = s[1] = INT32_MAX;
      s[2] = s[3] = -1;
      s[4] = 0;
    });
  }
};

// Extent and number of the pixels of every instance of an id map.
struct Reduce : ItemKernel<4096> {
  const int32_t* instance_id;  // [B, H, W]
  int64_t images;
  int32_t height, width, instances;
  int32_t* seen;  // [B, N, 5] min x, min y, max x, max y (inclusive), pixels

  FS_HD int64_t pixels() const { return int64_t(height) * width; }
  FS_HD int64_t parts() const { return tiles_for(pixels()); }
  FS_HD int64_t tiles() const { return images * parts(); }
  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>&) const {
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int64_t image = tile.index / parts(), first = tile.index % parts() * kItems;
    tile.for_each(int32_t(min(pixels() - first, int64_t(kItems))), [&](Int i, Mask active) {
      const Int id = gather(instance_id + image * pixels() + first, i, active);
      const Int at = i + Int(int32_t(first % width));  // column, once whole rows are taken off
      tile.for_unique(id, active & (id >= Int(0)) & (id < Int(instances)), [&](int32_t n, Mask same) {
        int32_t* s = seen + 5 * (image * instances + n);
        const int32_t row_0 = int32_t(first / width);
        const auto rows =
            floor_int((to_float(at) + decltype(to_float(at))(0.5f)) / decltype(to_float(at))(float(width)));
        const Int x = at - multiply(rows, Int(width)), y = rows + Int(row_0);
        atomic_min(s, min_over(x, same));
        atomic_min(s + 1, min_over(y, same));
        atomic_max(s + 2, max_over(x, same));
        atomic_max(s + 3, max_over(y, same));
        atomic_add(s + 4, count(same));
      });
    });
  }
};

}  // namespace fastsynth
