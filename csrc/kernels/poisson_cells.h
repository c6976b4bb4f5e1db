// Poisson's equation inside a mask, see poisson.h: the correction of what sweeps leave by the same equation for cells.
#pragma once

#include "poisson_sweep.h"

namespace fastsynth {

struct PoissonCells : PoissonSweep {
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
};

}  // namespace fastsynth
