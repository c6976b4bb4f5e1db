// Convolution of each image with a small kernel of its own, and its adjoints, by the picture and by the kernel.
#pragma once

#include "sums.h"

namespace fastsynth {

// out(y, x) = sum over j, i of kernel(j, i) in(y + 2 r - j, x + 2 r - i): `in` has r more pixels on every side.
struct ConvolveView {
  static constexpr int kRows = 8;  // of a tile
  const float* in;                 // [B, C, H + 2 r, W + 2 r]
  const float* kernel;             // [B, 2 r + 1, 2 r + 1]
  int64_t images;
  int32_t channels, height, width, radius;  // height and width of what is written

  template <class Tile>
  static constexpr int lanes() {
    return 256;
  }
  FS_HD int32_t side() const { return 2 * radius + 1; }
  FS_HD int64_t in_width() const { return int64_t{width} + 2 * radius; }
  FS_HD int64_t in_height() const { return int64_t{height} + 2 * radius; }
};

struct Convolve : ConvolveView {
  static constexpr int kMostRadius = 64, kRows = 32;  // the kernel is looked through once for a tile
  // The columns of each row of the kernel from the first that is not 0 to the last, and the rows that have any.
  template <class Tile>
  struct Shared {
    int32_t first[2 * kMostRadius + 1], last[2 * kMostRadius + 1], row[2 * kMostRadius + 1], rows;
  };
  float* out;  // [B, C, H, W]

  FS_HD int64_t parts() const { return (int64_t{height} + kRows - 1) / kRows; }
  FS_HD int64_t tiles() const { return images * channels * parts(); }

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>& shared) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int64_t plane = tile.index / parts();
    const int32_t top = int32_t(tile.index % parts()) * kRows;
    const float* weights = kernel + plane / channels * side() * side();
    tile.for_one(side(), [&](int32_t j) {
      int32_t first = side(), last = -1;
      for (int32_t i = 0; i < side(); ++i)
        if (weights[j * side() + i] != 0.0f) {
          first = min(first, i);
          last = i;
        }
      shared.first[j] = first;
      shared.last[j] = last;
    });
    tile.sync();
    tile.for_one(1, [&](int32_t) {
      shared.rows = 0;
      for (int32_t j = 0; j < side(); ++j)
        if (shared.last[j] >= 0) shared.row[shared.rows++] = j;
    });
    tile.sync();
    const float* from = in + plane * in_height() * in_width();
    float* to = out + plane * height * width;
    // Some rows at once, so that no sum waits for its own last term. Rows that are not there are the last one once more.
    constexpr int kAtOnce = Tile::kCooperative ? 4 : 8;
    const int32_t rows = min(height - top, int32_t{kRows});
    tile.for_groups((rows + kAtOnce - 1) / kAtOnce, width, [&](int32_t group, Int x, Mask active) {
      Float sum[kAtOnce];
      for (int k = 0; k < kAtOnce; ++k) sum[k] = Float(0.0f);
      const int32_t y = top + kAtOnce * group;
      int64_t step[kAtOnce];
      for (int k = 0; k < kAtOnce; ++k) step[k] = min(int32_t{k}, height - 1 - y) * in_width();
      for (int32_t used = 0; used < shared.rows; ++used) {
        const int32_t j = shared.row[used];
        const float* row = from + (y + 2 * radius - j) * in_width() + 2 * radius;
        for (int32_t i = shared.first[j]; i <= shared.last[j]; ++i) {
          const Float weight(weights[j * side() + i]);
          for (int k = 0; k < kAtOnce; ++k) sum[k] = sum[k] + weight * load_run(row + step[k] - i, x, active);
        }
      }
      for (int k = 0; k < min(int32_t{kAtOnce}, height - y); ++k) store_items(to + (y + k) * width, x, sum[k], active);
    });
  }
};

// Transposed: `grad` is the gradient by what Convolve wrote, `grad_in` that by what it read.
struct ConvolveAdjoint : ConvolveView {
  template <class Tile>
  struct Shared {};
  const float* grad;  // [B, C, H, W]
  float* grad_in;     // [B, C, H + 2 r, W + 2 r]

  FS_HD int64_t parts() const { return (in_height() + kRows - 1) / kRows; }
  FS_HD int64_t tiles() const { return images * channels * parts(); }

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>&) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int64_t plane = tile.index / parts();
    const int32_t top = int32_t(tile.index % parts()) * kRows, rows = int32_t(in_height()) - top;
    const float* weights = kernel + plane / channels * side() * side();
    const float* g = grad + plane * height * width;
    tile.for_groups(min(rows, int32_t{kRows}), int32_t(in_width()), [&](int32_t y, Int x, Mask active) {
      Float sum(0.0f);
      for (int32_t j = 0; j < side(); ++j) {
        const int32_t from = top + y - 2 * radius + j;
        if (from < 0 || from >= height) continue;
        for (int32_t i = 0; i < side(); ++i) {
          const float weight = weights[j * side() + i];
          if (weight == 0.0f) continue;
          const Int at = x + Int(i - 2 * radius);
          const Mask there = active & (at >= Int(0)) & (at < Int(width));
          sum = sum + Float(weight) * load_run(g + int64_t{from} * width, at, there);
        }
      }
      store_items(grad_in + (plane * in_height() + top + y) * in_width(), x, sum, active);
    });
  }
};

// grad_kernel(j, i) = sum over channels and pixels of grad(y, x) in(y + 2 r - j, x + 2 r - i), a tile for each.
struct ConvolveToKernel : ConvolveView {
  template <class Tile>
  struct Shared {
    int64_t sum[1];
  };
  const float* grad;    // [B, C, H, W]
  const int32_t* most;  // [2] bits of the largest magnitudes of grad and of in
  int32_t bits;         // of the number of terms
  int32_t* bound;       // [1] out
  int64_t* sum;         // [B, 2 r + 1, 2 r + 1]

  FS_HD int64_t tiles() const { return images * side() * side(); }

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>& shared) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int64_t image = tile.index / (side() * side());
    const int32_t tap = int32_t(tile.index % (side() * side())), j = tap / side(), i = tap % side();
    const float limit = as_float(most[0]) * as_float(most[1]);
    const Float unit(power_of_two(unit_exponent(limit, bits)));
    typename Tile::UnitSum mine[1];
    tile.for_groups(channels * height, width, [&](int32_t row, Int x, Mask active) {
      const int32_t c = row / height, y = row % height;
      const float* g = grad + (image * channels * height + row) * width;
      const float* from =
          in + ((image * channels + c) * in_height() + y + 2 * radius - j) * in_width() + 2 * radius - i;
      mine[0].add(load_run(g, x, active) * load_run(from, x, active) * unit, active);
    });
    add_sums(tile, shared.sum, mine, [&](int32_t) { return sum + tile.index; });
    if (tile.index == 0) tile.for_one(1, [&](int32_t) { bound[0] = as_int(limit); });
  }
};

}  // namespace fastsynth
