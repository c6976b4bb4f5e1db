// Gradient-domain blending: the picture inside a mask that has the source's differences between neighbours and meets the
// target at the mask's edge (Perez, Gangnet and Blake, "Poisson Image Editing", SIGGRAPH 2003), and its adjoint.
//
// With f = source + x inside the mask, x is harmonic there: deg x_p - (sum of x over the neighbours in the mask) = b_p,
// b_p = the sum of target - source over the neighbours outside. Neighbours are the up to four of the picture, deg their
// number. The matrix is symmetric, so the adjoint solves the same system for the gradient.
//
// Successive over-relaxation in red-black order with Chebyshev's factors (Hageman and Young, "Applied Iterative Methods",
// 1981), a tile for each picture and channel. In small masks that is all; its factors and the number of sweeps come from the
// mask's longest runs: where no run in a row is longer than w and none in a column than h, the least eigenvalue is at least
// that of a w x h rectangle, as every run alone is held at its ends. In larger ones a few sweeps smooth the error, and what
// is left of it is corrected by the same equation for cells of 4 x 4 pixels, time after time (Brandt, "Multi-level Adaptive
// Solutions to Boundary-Value Problems", 1977). A cell counts as inside where all its pixels are: every other holds a pixel
// that is held, so that nothing in it is slow. The largest correction tells when to stop; it does not depend on the lanes.
//
// Each colour lies in an array of its own, in rows of the box, so that neighbours are runs: neighbours of column i are
// i - 1 + p and i + p of the same row of the other colour, p the parity, and i of the rows above and below.
#pragma once

#include "../core/color.h"
#include "sums.h"

namespace fastsynth {

struct PoissonView {
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

  // The cells' right sides become the sums over their pixels of value(color, y, i, active).
  template <class Tile, class Value>
  FS_KERNEL void add_up(Tile& tile, const Box& box, Value&& value) const {
    const Box cells = box.cells();
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    float* columns = cells.behind();
    tile.for_groups(cells.height, box.columns(), [&](int32_t cell, Int i, Mask active) {
      Float sum(0.0f);
      FS_ROLLED
      for (int32_t color = 0; color < 2; ++color) {
        FS_ROLLED
        for (int32_t y = 0; y < kStrip; ++y) sum = sum + value(color, cell * kStrip + y, i, active);
      }
      store_run(columns + int64_t{cell} * box.row, i, sum, active);
    });
    tile.sync();
    FS_ROLLED
    for (int32_t color = 0; color < 2; ++color)
      tile.for_groups(cells.height, cells.columns(), [&](int32_t y, Int i, Mask active) {
        const Int x = i + i + Int((color + y) & 1);
        const Mask there = active & (x < Int(cells.width));
        const float* from = columns + int64_t{y} * box.row;
        store_run(cells.b_of(color) + int64_t{y} * cells.row, i,
                  gather(from, x + x, there) + gather(from + 1, x + x, there), active);
      });
    tile.sync();
  }

  // The shares of the cells of marked pixels; one is inside where all its pixels in the picture are. Returns how many are.
  template <class Tile, class S>
  FS_KERNEL int32_t mark_cells(Tile& tile, S& shared, const Box& box) const {
    const Box cells = box.cells();
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    add_up(tile, box, [&](int32_t color, int32_t y, Int i, Mask active) {
      return load_run(box.x_of(color) + int64_t{y} * box.row, i, active);
    });
    const int32_t across = (width + kStrip - 1) / kStrip, down = (height + kStrip - 1) / kStrip;
    int32_t number = 0;
    for (int32_t color = 0; color < 2; ++color)
      tile.for_groups(cells.rows(), cells.columns(), [&](int32_t y, Int i, Mask active) {
        const Int x = i + i + Int(cells.x + ((color + y) & 1));
        const int32_t at_y = cells.y + y;
        const Int all =
            multiply(min(Int(width) - (x << 2), Int(kStrip)), Int(min(height - at_y * kStrip, int32_t{kStrip})));
        float* b = cells.b_of(color) + int64_t{y} * cells.row;
        const Mask there = active & (x < Int(cells.x + cells.width)) & Mask(y < cells.height);
        const Mask inside = there & (load_run(b, i, there) == to_float(all));
        number += count(inside);
        store_run(cells.share_of(color) + int64_t{y} * cells.row, i, share<Tile>(x, at_y, across, down, inside),
                  active);
        store_run(b, i, Float(0.0f), active);
      });
    tile.add(&shared.cells, number);
    tile.sync();
    find_ends(tile, cells);
    return shared.cells;
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

  // Adds to x what the cells' x is between their centres. Returns the largest.
  template <class Tile, class S>
  FS_KERNEL float add_cells(Tile& tile, S& shared, const Box& box) const {
    const Box cells = box.cells();
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    // The cells in rows, and what lies around: 0, or, at the picture's border, the same again.
    const int32_t row = 2 * cells.row;
    const int32_t across = (width + kStrip - 1) / kStrip, down = (height + kStrip - 1) / kStrip;
    float* around = cells.behind() + int64_t{cells.height} * box.row;
    Int most(0);
    tile.for_groups(cells.height + 2, row, [&](int32_t group, Int i, Mask active) {
      const int32_t y = min(max(cells.y + group - 1, 0), down - 1);
      const Int x = min(max(i + Int(cells.x - 1), Int(0)), Int(across - 1));
      const Float value = solution<Tile>(cells, x, y, active);
      most = max(most, magnitude_bits(value));
      store_run(around + int64_t{group} * row, i, value, active);
    });
    tile.most(&shared.most, most_over(most, Mask(true)));
    tile.sync();
    for (int32_t color = 0; color < 2; ++color)
      tile.for_groups(box.height, box.columns(), [&](int32_t y, Int i, Mask active) {
        const int64_t at = int64_t{y} * box.row;
        const Mask inside = active & (load_run(box.share_of(color) + at, i, active) != Float(0.0f));
        if (!any(inside)) return;
        // Pixels lie 3/8 or 1/8 of a cell from its centre, those of even columns at the left of it.
        const int32_t quarter = y & 3, parity = (color + y) & 1;
        const Float down_part(quarter == 0 || quarter == 3 ? 0.375f : 0.125f);
        const Int odd = i & Int(1);
        const Float across_part = select(odd == Int(parity), Float(0.375f), Float(0.125f));
        const int32_t first = (lead(i) >> 1) - 1;
        const Int middle = ((i - Int(lead(i))) >> 1) + Int(1), side = middle + odd + odd - Int(1);
        const auto along = [&](int32_t cell) {
          const float* from = around + int64_t{cell + 1} * row + 1 + first;
          const Float here = lookup_16(from, middle);
          return here + across_part * (lookup_16(from, side) - here);
        };
        const Float here = along(y / kStrip), there = along(y / kStrip + (quarter < 2 ? -1 : 1));
        const Float x = load_run(box.x_of(color) + at, i, active);
        store_run(box.x_of(color) + at, i, select(inside, x + (here + down_part * (there - here)), x), active);
      });
    tile.sync();
    return as_float(shared.most);
  }

  // Corrects what is smooth by the cells' equation. Returns the largest correction.
  template <class Tile, class S>
  FS_KERNEL float correct(Tile& tile, S& shared, const Box& box, float gap) const {
    const Box cells = box.cells();
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    tile.for_one(1, [&](int32_t) { shared.most = 0; });
    // What is left of the right side; at the picture's border a little too much.
    add_up(tile, box, [&](int32_t color, int32_t y, Int i, Mask active) {
      const int64_t at = int64_t{y} * box.row;
      const float *other = box.x_of(1 - color) + at, *beside = other + ((color + y) & 1) - 1;
      const Float sum = (load_run(other - box.row, i, active) + load_run(other + box.row, i, active)) +
                        (load_run(beside, i, active) + load_run(beside + 1, i, active));
      const Float wanted =
          (sum + load_run(box.b_of(color) + at, i, active)) * load_run(box.share_of(color) + at, i, active);
      return Float(4.0f) * (wanted - load_run(box.x_of(color) + at, i, active));
    });
    clear(tile, cells);
    sweep(tile, cells, gap, 4 + to_int(2.5f / gap));
    return add_cells(tile, shared, box);
  }

  // Solves for `right`, see set_up().
  template <class Tile, class S, class Right>
  FS_KERNEL Box solve(Tile& tile, S& shared, Right&& right) const {
    const Box box = find_box(tile, shared);
    if (shared.inside == 0 || int64_t{shared.inside} == pixels()) {  // nothing to do, or nothing to hold on to
      clear(tile, box);
      return box;
    }
    longest_runs(tile, shared, box);
    const float gap = spectral_gap(shared.longest);
    mark_pixels(tile, box);
    const bool smooth = gap < kLeastGap && mark_cells(tile, shared, box) > 0;
    set_up(tile, box, right);
    float first = 0.0f, last = 0.0f;
    for (int32_t left = smooth ? kMostCorrections : 0;; --left) {
      sweep(tile, box, smooth ? kSmoothGap : gap, smooth ? kSmoothing : 16 + to_int(11.0f / gap));
      if (left == 0) break;
      const float most = correct(tile, shared, box, min(kStrip * gap, 1.0f));
      // Corrections shrink by about the same factor each time, which shows what is left of the error.
      const float factor = left < kMostCorrections ? min(most / last, 0.95f) : 0.95f;
      first = max(first, most);
      last = most;
      if (most * max(factor / (1.0f - factor), 0.2f) <= kTolerance * first) left = 1;
    }
    return box;
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

struct Poisson : PoissonView {
  const float* source;  // [B, C, H, W]
  const float* target;  // [B, C, H, W]
  float* out;           // [B, C, H, W]

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>& shared) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int32_t* in = mask + tile.index / channels * pixels();
    const float *s = source + tile.index * pixels(), *t = target + tile.index * pixels();
    float* to = out + tile.index * pixels();
    const Box box = solve(tile, shared, [&](Int x, int32_t y, Mask, const Mask* outside) {
      Float sum(0.0f);
      for (int side = 0; side < 4; ++side) {
        if (!any(outside[side])) continue;
        const int32_t dx = side == 0 ? -1 : side == 1 ? 1 : 0, dy = side == 2 ? -1 : side == 3 ? 1 : 0;
        const int64_t row = int64_t{y + dy} * width;
        sum = sum + (gather(t + row, x + Int(dx), outside[side]) - gather(s + row, x + Int(dx), outside[side]));
      }
      return sum;
    });
    tile.for_groups(height, width, [&](int32_t y, Int x, Mask active) {
      const int64_t row = int64_t{y} * width;
      Float shown = load_run(t + row, x, active);
      const Mask inside = active & (load_run(in + row, x, active) != Int(0));
      if (any(inside)) shown = select(inside, load_run(s + row, x, active) + solution<Tile>(box, x, y, inside), shown);
      store_items(to + row, x, shown, active);
    });
  }
};

// out = target outside and source + x inside: with l the solution for the gradient inside, pixels outside receive the sum
// of l over their neighbours inside, the target's added and the source's taken off.
struct PoissonAdjoint : PoissonView {
  const float* grad;   // [B, C, H, W]
  float* grad_source;  // [B, C, H, W]
  float* grad_target;  // [B, C, H, W]

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>& shared) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int32_t* in = mask + tile.index / channels * pixels();
    const float* g = grad + tile.index * pixels();
    const Box box = solve(tile, shared, [&](Int x, int32_t y, Mask inside, const Mask*) {
      return gather(g + int64_t{y} * width, x, inside);
    });
    tile.for_groups(height, width, [&](int32_t y, Int x, Mask active) {
      const int64_t row = int64_t{y} * width, at = tile.index * pixels() + row;
      const Float given = load_run(g + row, x, active);
      const Mask inside = active & (load_run(in + row, x, active) != Int(0));
      Float sum(0.0f);
      for (int side = 0; side < 4; ++side) {
        const int32_t dx = side == 0 ? -1 : side == 1 ? 1 : 0, dy = side == 2 ? -1 : side == 3 ? 1 : 0;
        sum = sum + solution<Tile>(box, x + Int(dx), y + dy, active & mask_not(inside));
      }
      store_items(grad_source + at, x, select(inside, given, Float(0.0f) - sum), active);
      store_items(grad_target + at, x, select(inside, Float(0.0f), given + sum), active);
    });
  }
};

}  // namespace fastsynth
