// Ops on pictures and id maps: exposure with noise and tone curve, and its adjoint; extents of instances.
#pragma once

#include "../core/color.h"
#include "sums.h"

namespace fastsynth {

// Linear light to display: gain, shot and read noise, tone curve.
struct DevelopView : ItemKernel<4096> {
  const float* in;             // [B, 3, H, W] linear
  const float* exposure;       // [B]
  const float* white_balance;  // [B, 3]
  const float* noise;          // [B, 2] or null
  const float* normal;         // [B, 3, H, W] standard normal, with noise
  int64_t images, pixels;
  int32_t tone;

  FS_HD int64_t parts() const { return tiles_for(pixels); }
  FS_HD int64_t tiles() const { return images * 3 * parts(); }
};

struct Develop : DevelopView {
  float* out_float;  // one of the two
  uint8_t* out_byte;

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>&) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int64_t plane = tile.index / parts(), image = plane / 3,
                  first = plane * pixels + tile.index % parts() * kItems;
    const float gain = exp2_of(exposure[image]) * white_balance[plane];
    tile.for_each(int32_t(min((plane + 1) * pixels - first, int64_t(kItems))), [&](Int i, Mask active) {
      Float light = load_run(in + first, i, active) * Float(gain);
      if (noise) {
        const float shot = noise[2 * image], read = noise[2 * image + 1];
        const Float deviation = sqrt(Float(shot * shot) * max(light, Float(0.0f)) + Float(read * read));
        light = light + deviation * load_run(normal + first, i, active);
      }
      const Float shown = develop(light, tone);
      if (out_byte) {
        scatter(out_byte + first, i, to_int(shown * Float(255.0f) + Float(0.5f)), active);
      } else {
        store_items(out_float + first, i, shown, active);
      }
    });
  }
};

// Launched twice where sums are wanted: to find the bound of each, and to add.
struct DevelopAdjoint : DevelopView {
  static constexpr int kSums = 3;  // by gain, shot noise, read noise
  template <class Tile>
  struct Shared {
    int64_t sum[kSums];
    int32_t bound[kSums];
  };
  const float* grad;  // [B, 3, H, W]
  float* grad_in;     // [B, 3, H, W] or null
  int32_t adds;       // the second time
  int32_t bits;       // of the number of terms
  int32_t* bound;     // [B, 3] by 2^exposure white_balance and [B, 2] by noise, or null
  int64_t* sum;       // the same

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>& shared) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int64_t plane = tile.index / parts(), image = plane / 3,
                  first = plane * pixels + tile.index % parts() * kItems;
    const float gain = exp2_of(exposure[image]) * white_balance[plane];
    const float shot = noise ? noise[2 * image] : 0.0f, read = noise ? noise[2 * image + 1] : 0.0f;
    const auto place = [&](int32_t k) { return k == 0 ? plane : 3 * images + 2 * image + k - 1; };
    float scale[kSums];
    for (int k = 0; k < kSums; ++k)
      scale[k] = adds ? power_of_two(unit_exponent(as_float(bound[place(k)]), bits)) : 1.0f;
    typename Tile::UnitSum sums[kSums];
    Int largest[kSums] = {Int(0), Int(0), Int(0)};
    tile.for_each(int32_t(min((plane + 1) * pixels - first, int64_t(kItems))), [&](Int i, Mask active) {
      const Float raw = load_run(in + first, i, active), clean = raw * Float(gain), lit = max(clean, Float(0.0f));
      Float light = clean, by_clean(1.0f), by_shot(0.0f), by_read(0.0f);
      if (noise) {
        const Float drawn = load_run(normal + first, i, active);
        const Float deviation = sqrt(Float(shot * shot) * lit + Float(read * read));
        light = clean + deviation * drawn;
        const Float per = select(deviation > Float(0.0f), drawn / deviation, Float(0.0f));
        by_clean = Float(1.0f) + select(clean > Float(0.0f), Float(0.5f * shot * shot) * per, Float(0.0f));
        by_shot = Float(shot) * lit * per;
        by_read = Float(read) * per;
      }
      const Float to_light = load_run(grad + first, i, active) * develop_slope(light, tone),
                  to_clean = to_light * by_clean;
      if (grad_in && !adds) scatter(grad_in + first, i, to_clean * Float(gain), active);
      if (!bound) return;
      const Float terms[kSums] = {to_clean * raw, to_light * by_shot, to_light * by_read};
      for (int k = 0; k < (noise ? kSums : 1); ++k) {
        if (adds) {
          sums[k].add(terms[k] * Float(scale[k]), active);
        } else {
          largest[k] = max(largest[k], select(active, magnitude_bits(terms[k]), Int(0)));
        }
      }
    });
    if (!bound) return;
    if (adds) return add_sums(tile, shared.sum, sums, [&](int32_t k) { return sum + place(k); });
    int32_t mine[kSums];
    for (int k = 0; k < kSums; ++k) mine[k] = most_over(largest[k], Mask(true));
    raise_bounds(tile, shared.bound, mine, [&](int32_t k) { return bound + place(k); });
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
      const Int id = load_run(instance_id + image * pixels() + first, i, active);
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
