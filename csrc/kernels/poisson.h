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
#pragma once

#include "poisson_cells.h"

namespace fastsynth {

struct PoissonView : PoissonCells {
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
      for_neighbours([&](int side, int32_t dx, int32_t dy) {
        if (!any(outside[side])) return;
        const int64_t row = int64_t{y + dy} * width;
        sum = sum + (gather(t + row, x + Int(dx), outside[side]) - gather(s + row, x + Int(dx), outside[side]));
      });
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
      for_neighbours([&](int, int32_t dx, int32_t dy) {
        sum = sum + solution<Tile>(box, x + Int(dx), y + dy, active & mask_not(inside));
      });
      store_items(grad_source + at, x, select(inside, given, Float(0.0f) - sum), active);
      store_items(grad_target + at, x, select(inside, Float(0.0f), given + sum), active);
    });
  }
};

}  // namespace fastsynth
