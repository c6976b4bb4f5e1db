// Blur along an axis and its adjoints, by the picture and by sigma.
#pragma once

#include "../core/color.h"
#include "sums.h"

namespace fastsynth {

// Gaussian along rows or columns; the border pixel is repeated outside.
struct BlurView : ItemKernel<4096> {
  const float* in;     // [B, C, H, W]
  const float* sigma;  // [B] [pixels]
  int64_t images;
  int32_t channels, height, width, radius;
  int32_t vertical;

  FS_HD int64_t count() const { return int64_t(channels) * height * width; }
  FS_HD int64_t parts() const { return tiles_for(count()); }
  FS_HD int64_t tiles() const { return images * parts(); }

  // At sigma 0 all the weight lies on the pixel itself.
  FS_KERNEL float width_of(int64_t image) const { return max(sigma[image], 1e-3f); }
  static FS_HD float exponent(float s) { return -0.5f * 1.44269504f / (s * s); }
  // Of all 2 radius + 1 pixels.
  FS_KERNEL float total_weight(float scale) const {
    float weights = 0;
    for (int32_t t = -radius; t <= radius; ++t) weights = weights + exp2_of(scale * float(t * t));
    return weights;
  }

  // The line of element i, an element of an image: its first element, and how far along it i lies.
  template <class Int>
  struct Line {
    Int base, along, step, last;
  };
  template <class Int>
  FS_KERNEL Line<Int> line(Int i) const {
    const auto whole = [](Int n, int32_t by) {
      using Float = decltype(to_float(n));
      return floor_int((to_float(n) + Float(0.5f)) / Float(float(by)));
    };
    const Int row = whole(i, width), x = i - multiply(row, Int(width));
    const Int y = row - multiply(whole(row, height), Int(height));
    Line<Int> l;
    l.along = vertical ? y : x;
    l.step = Int(vertical ? width : 1);
    l.last = Int(vertical ? height - 1 : width - 1);
    l.base = i - multiply(l.along, l.step);
    return l;
  }
};

struct Blur : BlurView {
  float* out;

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>&) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int64_t image = tile.index / parts(), first = tile.index % parts() * kItems;
    const float* p = in + image * count();
    const float scale = exponent(width_of(image));
    tile.for_each(int32_t(min(count() - first, int64_t(kItems))), [&](Int k, Mask active) {
      const auto l = line(k + Int(int32_t(first)));
      Float sum(0.0f);
      float weights = 0;
      for (int32_t t = -radius; t <= radius; ++t) {
        const float weight = exp2_of(scale * float(t * t));
        weights = weights + weight;
        const Int at = min(max(l.along + Int(t), Int(0)), l.last);
        sum = sum + Float(weight) * gather(p, l.base + multiply(at, l.step), active);
      }
      store_items(out + image * count() + first, k, sum * Float(1.0f / weights), active);
    });
  }
};

// Transposed: `in` is the gradient by what Blur wrote, `out` that by what it read. The border pixel also receives what
// was read of it outside.
struct BlurAdjoint : BlurView {
  float* out;

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>&) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int64_t image = tile.index / parts(), first = tile.index % parts() * kItems;
    const float* p = in + image * count();
    const float scale = exponent(width_of(image));
    tile.for_each(int32_t(min(count() - first, int64_t(kItems))), [&](Int k, Mask active) {
      const auto l = line(k + Int(int32_t(first)));
      Float sum(0.0f);
      float weights = 0;
      for (int32_t t = -radius; t <= radius; ++t) {
        const float weight = exp2_of(scale * float(t * t));
        weights = weights + weight;
        const Int at = l.along + Int(t);
        const Mask inside = active & (at >= Int(0)) & (at <= l.last);
        sum = sum + Float(weight) * gather(p, l.base + multiply(at, l.step), inside);
      }
      const Mask at_first = active & (l.along == Int(0)), at_last = active & (l.along == l.last);
      if (any(at_first | at_last)) {
        float beyond = 0;  // weight of more than t pixels to one side
        for (int32_t t = radius - 1; t >= 0; --t) {
          beyond = beyond + exp2_of(scale * float((t + 1) * (t + 1)));
          const Mask there = Int(t) <= l.last;
          const Float low = gather(p, l.base + multiply(Int(t), l.step), at_first & there),
                      high = gather(p, l.base + multiply(l.last - Int(t), l.step), at_last & there);
          sum = sum + Float(beyond) * (low + high);
        }
      }
      store_items(out + image * count() + first, k, sum * Float(1.0f / weights), active);
    });
  }
};

// grad_sigma = sum of grad times the slope of what Blur writes: the weights w / W have the slopes
// (t^2 - m) w / (W sigma^3), m the mean of t^2.
struct BlurToSigma : BlurView {
  template <class Tile>
  struct Shared {
    int64_t sum[1];
  };
  const float* grad;    // [B, C, H, W] by what was written along this axis
  const int32_t* most;  // [2] bits of the largest magnitudes of grad and of in
  int32_t bits;         // of the number of terms
  int32_t* bound;       // [B] out
  int64_t* sum;         // [B]

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>& shared) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int64_t image = tile.index / parts(), first = tile.index % parts() * kItems;
    const float *p = in + image * count(), *g = grad + image * count() + first;
    const float s = width_of(image), scale = exponent(s), total = total_weight(scale);
    float mean = 0;
    for (int32_t t = -radius; t <= radius; ++t) mean = mean + exp2_of(scale * float(t * t)) * float(t * t);
    mean = mean / total;
    const float slope = sigma[image] > 1e-3f ? 1.0f / (total * s * s * s) : 0.0f;
    // The slopes' magnitudes sum to at most 2 m / sigma^3.
    const float limit = as_float(most[0]) * as_float(most[1]) * (2.1f * mean * total * slope);
    const float unit = power_of_two(unit_exponent(limit, bits));
    typename Tile::UnitSum mine[1];
    tile.for_each(int32_t(min(count() - first, int64_t(kItems))), [&](Int k, Mask active) {
      const auto l = line(k + Int(int32_t(first)));
      Float change(0.0f);
      for (int32_t t = -radius; t <= radius; ++t) {
        const Float weight(exp2_of(scale * float(t * t)) * (float(t * t) - mean) * slope);
        const Int at = min(max(l.along + Int(t), Int(0)), l.last);
        change = change + weight * gather(p, l.base + multiply(at, l.step), active);
      }
      mine[0].add(gather(g, k, active) * change * Float(unit), active);
    });
    add_sums(tile, shared.sum, mine, [&](int32_t) { return sum + image; });
    if (first == 0) tile.for_one(1, [&](int32_t) { bound[image] = as_int(limit); });
  }
};

}  // namespace fastsynth
