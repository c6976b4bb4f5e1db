// Poisson's equation inside a mask, see poisson.h: the box of the mask, its memory, and how fast sweeps over it converge.
//
// Each colour lies in an array of its own, in rows of the box, so that neighbours are runs: neighbours of column i are
// i - 1 + p and i + p of the same row of the other colour, p the parity, and i of the rows above and below.
#pragma once

#include "../core/color.h"
#include "sums.h"

namespace fastsynth {

struct PoissonMask {
  static constexpr int kPad = 16;   // zeros behind a row, which the next begins after: rows are aligned
  static constexpr int kStrip = 4;  // rows that are worked on together, and side of a cell [pixels]
  // Half sweeps between two corrections by cells, the gap for which they smooth, see spectral_gap(), and that below which
  // cells are worth their cost. A correction leaves about an eighth of the error in masks of objects, and a half where all
  // hangs on a single pixel.
  static constexpr int kSmoothing = 12, kMostCorrections = 40;
  static constexpr float kSmoothGap = 0.2f, kLeastGap = 0.12f;
  static constexpr float kTolerance = 3e-5f;  // of the largest correction
  // Added to the right side, and what is smaller than kNothing in the end is 0: far from the edge the first sweeps would
  // leave denormal numbers, which are slow.
  static constexpr float kTiny = 1e-30f, kNothing = 1e-24f;
  template <class Tile>
  struct Shared {
    int32_t box[4];      // least x, least y, largest x, largest y
    int32_t inside;      // pixels
    int32_t longest[2];  // run of the mask's pixels in a row, in a column; see longest_runs()
    int32_t cells;       // that are inside
    int32_t most;        // bits of the largest correction
  };
  template <class Tile>
  static constexpr int lanes() {
    return 256;
  }
  static constexpr int kBlocksAtOnce = 4;  // on a multiprocessor
  const int32_t* mask;                     // [B, H, W], not 0 inside
  int64_t images;
  int32_t channels, height, width;
  float* scratch;  // [B, C, scratch_size(H, W)]

  // Elements of a row, and of all rows, for one colour of a box of at most this size.
  static FS_HD int64_t row_size(int64_t width) { return ((width + 1) / 2 + 15) / 16 * 16 + kPad; }
  static FS_HD int64_t plane_size(int64_t height, int64_t width) { return (height + kStrip + 2) * row_size(width); }
  // Six planes of pixels and of cells, the sums over columns of cells, and the cells' solution.
  static FS_HD int64_t scratch_size(int64_t height, int64_t width) {
    const int64_t down = (height + kStrip - 1) / kStrip, across = (width + kStrip - 1) / kStrip;
    return 6 * (plane_size(height, width) + plane_size(down, across)) + down * row_size(width) +
           (down + 2) * 2 * row_size(across);
  }
  // f(side, dx, dy) of the neighbours at the left, at the right, above, below.
  template <class F>
  static FS_KERNEL void for_neighbours(F&& f) {
    for (int side = 0; side < 4; ++side)
      f(side, side == 0 ? -1 : side == 1 ? 1 : 0, side == 2 ? -1 : side == 3 ? 1 : 0);
  }
  FS_HD int64_t tiles() const { return images * channels; }
  FS_HD int64_t pixels() const { return int64_t(height) * width; }

  // A part of a picture of pixels, or of cells, and the memory to solve in.
  struct Box {
    int32_t x, y, width, height, row;  // row: elements of a row
    float* first;                      // of the solution's first row of colour 0; a row lies above it

    FS_HD Box(int32_t left, int32_t top, int32_t w, int32_t h, float* memory)
        : x(left), y(top), width(w), height(h), row(int32_t(row_size(w))), first(memory + kPad + row) {}
    FS_HD int64_t size() const { return int64_t{height + kStrip + 2} * row; }  // from one array to the next
    FS_HD int32_t columns() const { return row - kPad; }                       // to be worked on
    FS_HD float* behind() const { return first - kPad - row + 6 * size(); }
    FS_HD int32_t rows() const { return (height + kStrip - 1) / kStrip * kStrip; }
    // Those of kStrip x kStrip pixels.
    FS_HD Box cells() const {
      return {x / kStrip, y / kStrip, (width + kStrip - 1) / kStrip, (height + kStrip - 1) / kStrip, behind()};
    }
    // The solution, the right side and 1 / deg of a colour.
    FS_HD float* x_of(int32_t color) const { return first + color * size(); }
    FS_HD float* b_of(int32_t color) const { return first + (2 + color) * size(); }
    FS_HD float* share_of(int32_t color) const { return first + (4 + color) * size(); }
    // Behind the shares of a strip's first row: where the strip's shares begin and end, as bits; see find_ends().
    FS_HD float* ends_of(int32_t color, int32_t y) const { return share_of(color) + int64_t{y} * row + columns(); }
  };

  // That of the mask; it begins with a cell.
  template <class Tile, class S>
  FS_KERNEL Box find_box(Tile& tile, S& shared) const {
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    tile.for_one(4, [&](int32_t k) { shared.box[k] = k < 2 ? INT32_MAX : -1; });
    tile.for_one(1, [&](int32_t) { shared.inside = shared.longest[0] = shared.longest[1] = shared.cells = 0; });
    tile.sync();
    const int32_t* in = mask + tile.index / channels * pixels();
    Int least_x(INT32_MAX), least_y(INT32_MAX), most_x(-1), most_y(-1);
    int32_t number = 0;
    tile.for_groups(height, width, [&](int32_t y, Int x, Mask active) {
      const Mask here = active & (load_run(in + int64_t{y} * width, x, active) != Int(0));
      if (!any(here)) return;
      least_x = min(least_x, select(here, x, Int(INT32_MAX)));
      most_x = max(most_x, select(here, x, Int(-1)));
      least_y = min(least_y, select(here, Int(y), Int(INT32_MAX)));
      most_y = max(most_y, select(here, Int(y), Int(-1)));
      number += count(here);
    });
    tile.least(&shared.box[0], min_over(least_x, Mask(true)));
    tile.least(&shared.box[1], min_over(least_y, Mask(true)));
    tile.most(&shared.box[2], max_over(most_x, Mask(true)));
    tile.most(&shared.box[3], max_over(most_y, Mask(true)));
    tile.add(&shared.inside, number);
    tile.sync();
    float* memory = scratch + tile.index * scratch_size(height, width);
    if (shared.inside == 0) return {0, 0, 0, 0, memory};
    const int32_t x = shared.box[0] / kStrip * kStrip, y = shared.box[1] / kStrip * kStrip;
    return {x, y, shared.box[2] - x + 1, shared.box[3] - y + 1, memory};
  }

  // The longest run of the mask's pixels along each axis. The border of the picture holds nothing, and the solution is
  // mirrored there: a run that touches it counts twice. One that touches both ends is held nowhere; it counts four times,
  // which no other does.
  template <class Tile, class S>
  FS_KERNEL void longest_runs(Tile& tile, S& shared, const Box& box) const {
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int32_t* in = mask + tile.index / channels * pixels();
    for (int axis = 0; axis < 2; ++axis) {
      const int32_t lines = axis ? box.width : box.height, begin = axis ? box.y : box.x,
                    end = begin + (axis ? box.height : box.width), last = (axis ? height : width) - 1;
      const int32_t step = axis ? 1 : width, along = axis ? width : 1;  // from line to line, and along a line
      const int32_t* first = in + int64_t{axis ? box.x : box.y} * step;
      Int longest(0);
      tile.for_each(lines, [&](Int line, Mask active) {
        Int run(0), weight(begin == 0 ? 2 : 1);
        for (int32_t k = begin; k < end; ++k) {
          const int32_t* at = first + int64_t{k} * along;
          const Int value = axis ? load_run(at, line, active) : gather(at, multiply(line, Int(step)), active);
          const Mask here = active & (value != Int(0));
          run = select(here, run + weight, Int(0));
          weight = select(here, weight, Int(1));
          longest = max(longest, run);
        }
        if (end == last + 1) longest = max(longest, run + run);
      });
      tile.most(&shared.longest[axis], most_over(longest, Mask(true)));
    }
    tile.sync();
  }

  // A bound from below of sqrt(1 - radius^2), the radius that of Jacobi's iteration. Along each axis the least eigenvalue is
  // a half of (pi / length)^2, and nothing where a run goes through the whole picture. If one does along both axes, some
  // pixel is held nevertheless, and all others lose least where it is in a corner: what that leaves was fitted to the
  // eigenvalues of such pictures of up to 48 x 48 and 2 x 64 pixels. (Holding more pixels only adds to it: the matrix
  // that is left is a principal one of the former.)
  FS_KERNEL float spectral_gap(const int32_t (&longest)[2]) const {
    const float w = float(longest[0] + 1), h = float(longest[1] + 1);
    const float along = longest[0] < 4 * width ? 1.0f / (w * w) : 0.0f;
    const float down = longest[1] < 4 * height ? 1.0f / (h * h) : 0.0f;
    if (along + down > 0.0f) return min(2.2214415f * sqrt(along + down), 1.0f);
    const float longer = float(max(width, height));
    const float square = float(width) * float(height) * max(0.69314718f * log2_of(longer), 0.01f);
    return min(0.85f / sqrt(square), 1.1f / longer);
  }
};

}  // namespace fastsynth
