// Poisson's equation inside a mask, see poisson.h: setting it up, and sweeps over it.
#pragma once

#include "poisson_mask.h"

namespace fastsynth {

struct PoissonSweep : PoissonMask {
  // For the pixels of the box, their shares, and 1 inside for x, so that neighbours are found as in sweep().
  template <class Tile>
  FS_KERNEL void mark_pixels(Tile& tile, const Box& box) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int32_t* in = mask + tile.index / channels * pixels();
    clear(tile, box);
    for (int32_t color = 0; color < 2; ++color)
      tile.for_groups(box.rows(), box.columns(), [&](int32_t y, Int i, Mask active) {
        const Int x = i + i + Int(box.x + ((color + y) & 1));
        const int32_t at_y = box.y + y;
        const Mask there = active & (x < Int(box.x + box.width)) & Mask(y < box.height);
        const Mask inside = there & (gather(in + int64_t{at_y} * width, x, there) != Int(0));
        const int64_t at = int64_t{y} * box.row;
        store_run(box.x_of(color) + at, i, select(inside, Float(1.0f), Float(0.0f)), active);
        store_run(box.share_of(color) + at, i, share<Tile>(x, at_y, width, height, inside), active);
      });
    tile.sync();
  }
  // 1 / deg in a picture of this size.
  template <class Tile, class Int, class Mask>
  FS_KERNEL static typename Tile::Float share(Int x, int32_t y, int32_t width, int32_t height, Mask inside) {
    using Float = typename Tile::Float;
    const Float beside =
        select(x > Int(0), Float(1.0f), Float(0.0f)) + select(x < Int(width - 1), Float(1.0f), Float(0.0f));
    const Float degree = beside + Float((y > 0 ? 1.0f : 0.0f) + (y < height - 1 ? 1.0f : 0.0f));
    return select(inside, Float(1.0f) / max(degree, Float(1.0f)), Float(0.0f));
  }

  // What is left to do for marked pixels: b by `right(x, y, inside, outside)`, and x = 0. Outside[k] tells whose neighbour
  // at the left, at the right, above, below is in the picture and outside the mask.
  template <class Tile, class Right>
  FS_KERNEL void set_up(Tile& tile, const Box& box, Right&& right) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    for (int32_t color = 0; color < 2; ++color)
      tile.for_groups(box.rows(), box.columns(), [&](int32_t y, Int i, Mask active) {
        const int64_t at = int64_t{y} * box.row;
        const Mask inside = active & (load_run(box.x_of(color) + at, i, active) != Float(0.0f));
        Float b(0.0f);
        if (any(inside)) {
          const int32_t parity = (color + y) & 1, at_y = box.y + y;
          const Int x = i + i + Int(box.x + parity);
          const float* other = box.x_of(1 - color) + at;
          const auto empty = [&](const float* p) { return inside & (load_run(p, i, active) == Float(0.0f)); };
          const Mask outside[4] = {
              Mask(empty(other + parity - 1) & (x > Int(0))), Mask(empty(other + parity) & (x < Int(width - 1))),
              Mask(empty(other - box.row) & Mask(at_y > 0)), Mask(empty(other + box.row) & Mask(at_y < height - 1))};
          b = select(inside, right(x, at_y, inside, outside) + Float(kTiny), b);
        }
        store_run(box.b_of(color) + at, i, b, active);
      });
    tile.sync();
    clear(tile, box);
    find_ends(tile, box);
  }

  template <class Tile>
  FS_KERNEL void clear(Tile& tile, const Box& box) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    for (int32_t color = 0; color < 2; ++color)
      tile.for_groups(box.height + kStrip + 1, box.row, [&](int32_t y, Int i, Mask active) {
        store_run(box.x_of(color) + int64_t{y - 1} * box.row - kPad, i, Float(0.0f), active);
      });
    tile.sync();
  }

  // The columns of each strip from the first sixteen that hold a share to the last: a box of several objects is mostly empty.
  template <class Tile>
  FS_KERNEL void find_ends(Tile& tile, const Box& box) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    if constexpr (!Tile::kCooperative)
      for (int32_t color = 0; color < 2; ++color)
        for (int32_t top = 0; top < box.height; top += kStrip) {
          int32_t begin = box.columns(), end = 0;
          tile.for_groups(kStrip, box.columns(), [&](int32_t y, Int i, Mask active) {
            const float* share = box.share_of(color) + int64_t{top + y} * box.row;
            if (!any(load_run(share, i, active) != Float(0.0f))) return;
            begin = min(begin, lead(i));
            end = max(end, lead(i) + 16);
          });
          box.ends_of(color, top)[0] = as_float(begin);
          box.ends_of(color, top)[1] = as_float(end);
        }
  }

  // At least so many half sweeps, each of which leaves exp(-gap) of the error.
  template <class Tile>
  FS_KERNEL void sweep(Tile& tile, const Box& box, float gap, int32_t least) const {
    // One thread goes down the strips once for several half sweeps, each a strip behind the one before, so that rows are used
    // again while they lie in the nearest cache. Many threads take all rows of a half sweep at once.
    constexpr int32_t kTogether = 4, kDeep = Tile::kCooperative ? 1 : kTogether;
    constexpr int32_t kRows = Tile::kCooperative ? 1 : kStrip;
    const int32_t strips = box.rows() / kRows, at_once = Tile::kCooperative ? strips : 1;
    const int32_t halves = (least + kTogether - 1) / kTogether * kTogether;
    const float square = 1.0f - gap * gap;
    float relax = 1.0f;
    for (int32_t half = 0; half < halves; half += kDeep) {
      float factor[kDeep];
      for (int32_t k = 0; k < kDeep; ++k) {
        factor[k] = relax;
        relax = half + k == 0 ? 1.0f / (1.0f - 0.5f * square) : 1.0f / (1.0f - 0.25f * square * relax);
      }
      for (int32_t front = 0; front < strips + kDeep - 1; front += at_once)
        for (int32_t k = 0; k < kDeep; ++k) {
          const int32_t strip = front - k, color = (half + k) & 1;
          if (strip < 0 || strip >= strips) continue;
          const float* ends = box.ends_of(color, kRows * strip);
          const int32_t begin = Tile::kCooperative ? 0 : as_int(ends[0]);
          const int32_t end = Tile::kCooperative ? box.columns() : as_int(ends[1]);
          tile.for_runs(at_once, begin, end, [&](int32_t more) {
            return relaxed_rows<Tile, kRows>(box, color, kRows * (strip + more), factor[k]);
          });
        }
      tile.sync();
    }
  }
  // What a half sweep does to columns of some rows: a function of the column.
  template <class Tile, int kRows>
  FS_KERNEL static auto relaxed_rows(const Box& box, int32_t color, int32_t y, float factor) {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int32_t row = box.row, aside = 2 * ((color + y) & 1) - 1;  // beside the column itself
    const int64_t at = int64_t{y} * row;
    float* own = box.x_of(color) + at;
    const float *other = box.x_of(1 - color) + at, *b = box.b_of(color) + at, *share = box.share_of(color) + at;
    const Float by(factor);
    return [=](int32_t i, Int lane, Mask active) {
      Float part[kRows], middle[kRows + 2], now[kRows];
      bool used = !Tile::kCooperative;
      for (int32_t r = 0; r < kRows; ++r) {
        part[r] = load_run(share + r * row + i, lane, active);
        if (Tile::kCooperative) used = used || any(part[r] != Float(0.0f));
      }
      if (!used) return;
      for (int32_t r = 0; r < kRows + 2; ++r) middle[r] = load_run(other + (r - 1) * row + i, lane, active);
      for (int32_t r = 0; r < kRows; ++r) {
        const Float side = load_run(other + r * row + i + (r & 1 ? -aside : aside), lane, active);
        const Float around = (middle[r] + middle[r + 2]) + (middle[r + 1] + side);
        const Float old = load_run(own + r * row + i, lane, active);
        now[r] = old + by * ((around + load_run(b + r * row + i, lane, active)) * part[r] - old);
      }
      for (int32_t r = 0; r < kRows; ++r) store_run(own + r * row + i, lane, now[r], active);
    };
  }

  // x at a pixel of the picture, 0 outside the box.
  template <class Tile, class Int, class Mask>
  FS_KERNEL typename Tile::Float solution(const Box& box, Int x, int32_t y, Mask active) const {
    using Float = typename Tile::Float;
    const int32_t row = y - box.y;
    const Mask there = active & (x >= Int(box.x)) & (x < Int(box.x + box.width)) & Mask(row >= 0 && row < box.height);
    const Int column = x - Int(box.x), i = column >> 1;
    const Mask odd = ((column + Int(row)) & Int(1)) == Int(1);
    const int64_t at = int64_t{row} * box.row;
    const Float found =
        select(odd, gather(box.x_of(1) + at, i, there & odd), gather(box.x_of(0) + at, i, there & mask_not(odd)));
    return select(abs(found) < Float(kNothing), Float(0.0f), found);
  }
};

}  // namespace fastsynth
