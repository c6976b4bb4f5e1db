// Gradient-domain blending: the picture inside a mask that has the source's differences between neighbours and meets the
// target at the mask's edge (Perez, Gangnet and Blake, "Poisson Image Editing", SIGGRAPH 2003), and its adjoint.
//
// With f = source + x inside the mask, x is harmonic there: deg x_p - (sum of x over the neighbours in the mask) = b_p,
// b_p = the sum of target - source over the neighbours outside. Neighbours are the up to four of the picture, deg their
// number. The matrix is symmetric, so the adjoint solves the same system for the gradient.
//
// Successive over-relaxation in red-black order with Chebyshev's factors (Hageman and Young, "Applied Iterative Methods",
// 1981), a tile for each picture and channel. The factor's spectral radius and the number of sweeps, which is all that
// depends on the mask, come from its longest runs: where no run in a row is longer than w and none in a column than h, the
// least eigenvalue is at least that of a w x h rectangle, as every run alone is held at its ends. Each colour lies in an
// array of its own, in rows of the box, so that neighbours are runs: neighbours of column i are i - 1 + p and i + p of the same
// row of the other colour, p the parity, and i of the rows above and below.
#pragma once

#include "../core/color.h"
#include "sums.h"

namespace fastsynth {

struct PoissonView {
  static constexpr int kPad = 16;  // zeros behind a row, which the next begins after: rows are aligned
  template <class Tile>
  struct Shared {
    int32_t box[4];      // least x, least y, largest x, largest y
    int32_t inside;      // pixels
    int32_t longest[2];  // run of the mask's pixels in a row, in a column; see longest_runs()
  };
  template <class Tile>
  static constexpr int lanes() {
    return 256;
  }
  const int32_t* mask;  // [B, H, W], not 0 inside
  int64_t images;
  int32_t channels, height, width;
  float* scratch;  // [B, C, 3, 2, scratch_size(H, W)]

  // Elements for one colour of a box of at most this size.
  static FS_HD int64_t row_size(int64_t width) { return ((width + 1) / 2 + 15) / 16 * 16 + kPad; }
  static FS_HD int64_t scratch_size(int64_t height, int64_t width) { return (height + 3) * row_size(width); }
  FS_HD int64_t tiles() const { return images * channels; }
  FS_HD int64_t pixels() const { return int64_t(height) * width; }

  // The mask's box and what lies in it.
  struct Box {
    int32_t x, y, width, height, row, columns;  // row: elements of a row, columns: of these to be worked on
    int32_t inside;
    int32_t longest[2];
    float* first;  // of the solution's first row of colour 0; a row lies above it
    int64_t size;  // from one array to the next
    // The solution, the right side and 1 / deg of a colour.
    FS_HD float* x_of(int32_t color) const { return first + color * size; }
    FS_HD float* b_of(int32_t color) const { return first + (2 + color) * size; }
    FS_HD float* share_of(int32_t color) const { return first + (4 + color) * size; }
  };

  template <class Tile, class S>
  FS_KERNEL Box find_box(Tile& tile, S& shared) const {
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    tile.for_one(4, [&](int32_t k) { shared.box[k] = k < 2 ? INT32_MAX : -1; });
    tile.for_one(1, [&](int32_t) { shared.inside = shared.longest[0] = shared.longest[1] = 0; });
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
    Box box;
    box.inside = shared.inside;
    box.x = shared.box[0];
    box.y = shared.box[1];
    box.width = box.inside ? shared.box[2] - box.x + 1 : 0;
    box.height = box.inside ? shared.box[3] - box.y + 1 : 0;
    box.columns = ((box.width + 1) / 2 + 15) / 16 * 16;
    longest_runs(tile, shared, box);
    for (int axis = 0; axis < 2; ++axis) box.longest[axis] = shared.longest[axis];
    box.row = box.columns + kPad;
    box.size = scratch_size(height, width);
    box.first = scratch + tile.index * 6 * box.size + kPad + box.row;
    return box;
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
          const Mask here = active & (gather(first + int64_t{k} * along, multiply(line, Int(step)), active) != Int(0));
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

  // Everything at rest: x = 0, shares by the mask, b by `right(x, y, inside)`, for the pixels of the box.
  template <class Tile, class Right>
  FS_KERNEL void set_up(Tile& tile, const Box& box, Right&& right) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int32_t* in = mask + tile.index / channels * pixels();
    const bool whole = int64_t{box.inside} == pixels();  // nothing to hold on to: x stays 0
    for (int32_t color = 0; color < 2; ++color) {
      tile.for_groups(box.height + 3, box.row, [&](int32_t y, Int i, Mask active) {
        store_run(box.x_of(color) + int64_t{y - 1} * box.row - kPad, i, Float(0.0f), active);
      });
      tile.for_groups(box.height, box.columns, [&](int32_t y, Int i, Mask active) {
        const Int x = i + i + Int(box.x + ((color + y) & 1));
        const int32_t at_y = box.y + y;
        const Mask there = active & (x < Int(box.x + box.width));
        const Mask inside = there & (gather(in + int64_t{at_y} * width, x, there) != Int(0));
        const Float beside =
            select(x > Int(0), Float(1.0f), Float(0.0f)) + select(x < Int(width - 1), Float(1.0f), Float(0.0f));
        const Float degree = beside + Float((at_y > 0 ? 1.0f : 0.0f) + (at_y < height - 1 ? 1.0f : 0.0f));
        const int64_t at = int64_t{y} * box.row;
        store_run(box.share_of(color) + at, i,
                  select(inside & Mask(!whole), Float(1.0f) / max(degree, Float(1.0f)), Float(0.0f)), active);
        store_run(box.b_of(color) + at, i, select(inside, right(x, at_y, inside), Float(0.0f)), active);
      });
    }
    tile.sync();
  }

  // Is the neighbour of (x, y) in this direction in the picture and outside the mask?
  template <class Tile, class Int, class Mask>
  FS_KERNEL Mask outside(const int32_t* in, Int x, int32_t y, int32_t dx, int32_t dy, Mask active) const {
    const Int to = x + Int(dx);
    const Mask there = active & (to >= Int(0)) & (to < Int(width)) & Mask(y + dy >= 0 && y + dy < height);
    return there & (gather(in + int64_t{y + dy} * width, to, there) == Int(0));
  }

  // A bound from below of sqrt(1 - radius^2), the radius that of Jacobi's iteration. Along each axis the least eigenvalue is
  // a half of (pi / length)^2, and nothing where a run goes through the whole picture. If one does along both axes, some
  // pixel is held nevertheless, and all others lose least where it is in a corner: what that leaves was fitted to the
  // eigenvalues of such pictures of up to 48 x 48 and 2 x 64 pixels. (Holding more pixels only adds to it: the matrix
  // that is left is a principal one of the former.)
  FS_KERNEL float spectral_gap(const Box& box) const {
    const float w = float(box.longest[0] + 1), h = float(box.longest[1] + 1);
    const float along = box.longest[0] < 4 * width ? 1.0f / (w * w) : 0.0f;
    const float down = box.longest[1] < 4 * height ? 1.0f / (h * h) : 0.0f;
    if (along + down > 0.0f) return 2.2214415f * sqrt(along + down);
    const float longer = float(max(width, height));
    const float square = float(width) * float(height) * max(0.69314718f * log2_of(longer), 0.01f);
    return min(0.85f / sqrt(square), 1.1f / longer);
  }

  template <class Tile>
  FS_KERNEL void solve(Tile& tile, const Box& box) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const float gap = min(spectral_gap(box), 1.0f);
    const float square = 1.0f - gap * gap;
    const int32_t sweeps = 20 + to_int(6.0f / gap);  // the error falls by about exp(-2 gap) a sweep
    float relax = 1.0f;
    for (int32_t half = 0; half < 2 * sweeps; ++half) {
      const int32_t color = half & 1;
      const float *b = box.b_of(color), *share = box.share_of(color), *other = box.x_of(1 - color);
      float* own = box.x_of(color);
      const Float by(relax);
      tile.for_groups(box.height, box.columns, [&](int32_t y, Int i, Mask active) {
        const int64_t at = int64_t{y} * box.row;
        const Float part = load_run(share + at, i, active);
        if (!any(part != Float(0.0f))) return;  // a box of several objects is mostly empty
        const int32_t parity = (color + y) & 1;
        const Float around = (load_run(other + at - box.row, i, active) + load_run(other + at + box.row, i, active)) +
                             (load_run(other + at + parity - 1, i, active) + load_run(other + at + parity, i, active));
        const Float old = load_run(own + at, i, active);
        const Float wanted = (around + load_run(b + at, i, active)) * part;
        const Float now = old + by * (wanted - old);
        // Far from the edge the first sweeps would leave denormal numbers, which are slow.
        store_run(own + at, i, select(abs(now) < Float(1e-30f), Float(0.0f), now), active);
      });
      relax = half == 0 ? 1.0f / (1.0f - 0.5f * square) : 1.0f / (1.0f - 0.25f * square * relax);
      tile.sync();
    }
  }

  // x at a pixel of the picture, 0 outside the box.
  template <class Tile, class Int, class Mask>
  FS_KERNEL typename Tile::Float solution(const Box& box, Int x, int32_t y, Mask active) const {
    const int32_t row = y - box.y;
    const Mask there = active & (x >= Int(box.x)) & (x < Int(box.x + box.width)) & Mask(row >= 0 && row < box.height);
    const Int column = x - Int(box.x), i = column >> 1;
    const Mask odd = ((column + Int(row)) & Int(1)) == Int(1);
    const int64_t at = int64_t{row} * box.row;
    return select(odd, gather(box.x_of(1) + at, i, there & odd), gather(box.x_of(0) + at, i, there & mask_not(odd)));
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
    const Box box = find_box(tile, shared);
    set_up(tile, box, [&](Int x, int32_t y, Mask inside) {
      Float sum(0.0f);
      for (int side = 0; side < 4; ++side) {
        const int32_t dx = side == 0 ? -1 : side == 1 ? 1 : 0, dy = side == 2 ? -1 : side == 3 ? 1 : 0;
        const Mask there = outside<Tile>(in, x, y, dx, dy, inside);
        if (!any(there)) continue;
        const int64_t row = int64_t{y + dy} * width;
        sum = sum + (gather(t + row, x + Int(dx), there) - gather(s + row, x + Int(dx), there));
      }
      return sum;
    });
    solve(tile, box);
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
    const Box box = find_box(tile, shared);
    set_up(tile, box, [&](Int x, int32_t y, Mask inside) { return gather(g + int64_t{y} * width, x, inside); });
    solve(tile, box);
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
