// One triangle into the visibility of a tile.
#pragma once

#include "../core/triangle.h"
#include "../schedule/atomic.h"

namespace fastsynth {

// A tile's place in the image, in samples.
struct TileFrame {
  int32_t left, top, width, height;  // tile's first sample; the image's size
};

// Number of sample (x, y) of a tile: blocks of kBlock x kBlock one after another, rows inside a block.
template <class Tile>
FS_KERNEL int32_t block_start(int32_t block_x_, int32_t block_y_) {
  constexpr int kBlocks = Tile::kSide / Tile::kBlock;
  return (block_y_ * kBlocks + block_x_) * (Tile::kBlock * Tile::kBlock);
}

// The same of any sample, counted from the tile's first.
template <class Tile, class Int>
FS_KERNEL Int sample_number(Int x, Int y) {
  constexpr int kBlocks = Tile::kSide / Tile::kBlock, kShift = Tile::kBlock == 4 ? 2 : 0;
  static_assert(Tile::kBlock == 1 || Tile::kBlock == 4);
  const Int block = multiply(y >> kShift, Int(kBlocks)) + (x >> kShift);
  return (block << (2 * kShift)) + ((y & Int(Tile::kBlock - 1)) << kShift) + (x & Int(Tile::kBlock - 1));
}

// Values of the three edge functions at a block's first sample.
template <class E>
struct Edges {
  E at[3];
};
template <class E>
FS_KERNEL Edges<E> edges_at(const Triangle<E>& t, int32_t x, int32_t y) {
  Edges<E> edges;
  for (int i = 0; i < 3; ++i)
    edges.at[i] = t.edge[i] + E(x - t.origin_x) * t.step_x[i] + E(y - t.origin_y) * t.step_y[i];
  return edges;
}

// Edge function i at a block's samples, above that at its first.
template <class Tile, class E>
FS_KERNEL typename Tile::Int in_block(const Triangle<E>& t, int i) {
  using Int = typename Tile::Int;
  return multiply(block_x(Int()), Int(t.step_x[i])) + multiply(block_y(Int()), Int(t.step_y[i]));
}

// The block whose first sample is (x, y), of which the triangle covers `inside`: is it nearest there?
// `holes(x, y, inside)` takes away the samples at which an alpha-masked surface is not there.
template <class Tile, class E, class Vis, class Word, class Holes>
FS_KERNEL void write_block(Tile& tile, Vis& visibility, Word* words, const Triangle<E>& t, typename Tile::Mask inside,
                           int32_t x, int32_t y, int32_t first, const Holes& holes) {
  using Float = typename Tile::Float;
  using Int = typename Tile::Int;
  const Int in_x = block_x(Int()), in_y = block_y(Int());
  const Float dx = to_float(in_x + Int(x - t.origin_x)), dy = to_float(in_y + Int(y - t.origin_y));
  const Float plane = Float(t.z_0) + dx * Float(t.z_x) + dy * Float(t.z_y);
  const Float z = min(max(plane, Float(t.z_min)), Float(t.z_max));
  inside = inside & (z <= Float(1.0f));
  inside = holes(in_x + Int(x), in_y + Int(y), inside);
  if (words) tile.cover(words, first, inside);
  visibility.update(first, inside, z, t.id);
}

// The same, given the edge functions at its first sample: which samples does the triangle cover?
template <class Tile, class E, class Vis, class Word, class Holes>
FS_KERNEL void cover_block(Tile& tile, Vis& visibility, Word* words, const Triangle<E>& t, const Edges<E>& edges,
                           int32_t x, int32_t y, int32_t first, const Holes& holes) {
  using Int = typename Tile::Int;
  constexpr int kBlock = Tile::kBlock;
  Int all(0);
  for (int i = 0; i < 3; ++i) {
    // Within a block the function changes by less than 2^28, so beyond 2^30 only the sign matters.
    const E change = E(kBlock - 1) * (max(t.step_x[i], 0) + max(t.step_y[i], 0));
    if (edges.at[i] + change < 0) return;
    all = all | (Int(int32_t(min(edges.at[i], E(1 << 30)))) + in_block<Tile>(t, i));
  }
  const auto inside = all >= Int(0);
  if (any(inside)) write_block(tile, visibility, words, t, inside, x, y, first, holes);
}

// Blocks of the tile that the triangle's bounds touch.
struct BlockRange {
  int32_t min_x, min_y, max_x, max_y;
};
template <class Tile, class E>
FS_KERNEL BlockRange blocks_of(const Triangle<E>& t, const TileFrame& frame) {
  constexpr int kBlock = Tile::kBlock;
  const int32_t x0 = max(t.min_x - frame.left, 0), y0 = max(t.min_y - frame.top, 0);
  const int32_t x1 = min(t.max_x - frame.left, Tile::kSide), y1 = min(t.max_y - frame.top, Tile::kSide);
  return {x0 / kBlock, y0 / kBlock, (max(x1, 0) + kBlock - 1) / kBlock, (max(y1, 0) + kBlock - 1) / kBlock};
}

// Small triangles, one in each lane, made ready as `Triangle` is.
template <class Tile>
struct SmallTriangles {
  using Float = typename Tile::Float;
  using Int = typename Tile::Int;
  static constexpr int kNumbers = 17;
  Int edge[3], step_x[2], step_y[2];  // the third step is minus the sum of the others
  Int min_x, min_y, max_x, max_y, id;
  Int z_0, z_x, z_y, z_min, z_max;  // bits of floats
};

// Every lane's triangle, pixel after pixel of its bounds in this tile.
template <class Tile, class Vis, class Word>
FS_KERNEL void cover_small(Tile& tile, Vis& visibility, Word* words, const SmallTriangles<Tile>& t,
                           typename Tile::Mask active, const TileFrame& frame) {
  using Float = typename Tile::Float;
  using Int = typename Tile::Int;
  using Mask = typename Tile::Mask;
  const Int left(frame.left), top(frame.top), side(Tile::kSide);
  const Int x0 = max(t.min_x, left), y0 = max(t.min_y, top);
  const Int wide = min(t.max_x, left + side) - x0, high = min(t.max_y, top + side) - y0;
  const Int from_x = x0 - t.min_x, from_y = y0 - t.min_y;
  const Int step_x[3] = {t.step_x[0], t.step_x[1], -(t.step_x[0] + t.step_x[1])};
  const Int step_y[3] = {t.step_y[0], t.step_y[1], -(t.step_y[0] + t.step_y[1])};
  Int row[3];
  for (int i = 0; i < 3; ++i) row[i] = t.edge[i] + multiply(from_x, step_x[i]) + multiply(from_y, step_y[i]);
  for (int32_t dy = 0;; ++dy) {
    const Mask in_rows = active & (Int(dy) < high);
    if (!any(in_rows)) break;
    const Float y = to_float(from_y + Int(dy));
    Int edge[3] = {row[0], row[1], row[2]};
    for (int32_t dx = 0;; ++dx) {
      const Mask here = in_rows & (Int(dx) < wide);
      if (!any(here)) break;
      Mask inside = here & ((edge[0] | edge[1] | edge[2]) >= Int(0));
      if (any(inside)) {
        const Float x = to_float(from_x + Int(dx));
        const Float plane = as_float(t.z_0) + x * as_float(t.z_x) + y * as_float(t.z_y);
        const Float z = min(max(plane, as_float(t.z_min)), as_float(t.z_max));
        inside = inside & (z <= Float(1.0f));
        const Int pixel = sample_number<Tile>(x0 - left + Int(dx), y0 - top + Int(dy));
        if (words) tile.cover_each(words, pixel, inside);
        visibility.update_each(pixel, inside, z, t.id);
      }
      for (int i = 0; i < 3; ++i) edge[i] = edge[i] + step_x[i];
    }
    for (int i = 0; i < 3; ++i) row[i] = row[i] + step_y[i];
  }
}

// The whole triangle by one lane.
template <class Tile, class Vis, class Word, class Holes>
FS_KERNEL void cover(Tile& tile, Vis& visibility, Word* words, const Triangle<int32_t>& t, const TileFrame& frame,
                     const Holes& holes) {
  using Int = typename Tile::Int;
  constexpr int kBlock = Tile::kBlock;
  const BlockRange range = blocks_of<Tile>(t, frame);
  const int32_t left = frame.left + range.min_x * kBlock, top = frame.top + range.min_y * kBlock;
  const Edges<int32_t> first = edges_at(t, left, top);
  Int row[3], across[3], down[3];
  for (int i = 0; i < 3; ++i) {
    row[i] = Int(first.at[i]) + in_block<Tile>(t, i);
    across[i] = Int(t.step_x[i] * kBlock);
    down[i] = Int(t.step_y[i] * kBlock);
  }
  int32_t y = top;
  for (int32_t by = range.min_y; by < range.max_y; ++by, y += kBlock) {
    Int edge[3] = {row[0], row[1], row[2]};
    int32_t x = left;
    for (int32_t bx = range.min_x; bx < range.max_x; ++bx, x += kBlock) {
      const auto inside = (edge[0] | edge[1] | edge[2]) >= Int(0);
      if (any(inside)) write_block(tile, visibility, words, t, inside, x, y, block_start<Tile>(bx, by), holes);
      for (int i = 0; i < 3; ++i) edge[i] = edge[i] + across[i];
    }
    for (int i = 0; i < 3; ++i) row[i] = row[i] + down[i];
  }
}
// The same of one that is too large for 32 bits.
template <class Tile, class Vis, class Word, class Holes>
FS_KERNEL void cover(Tile& tile, Vis& visibility, Word* words, const Triangle<int64_t>& t, const TileFrame& frame,
                     const Holes& holes) {
  constexpr int kBlock = Tile::kBlock;
  const BlockRange range = blocks_of<Tile>(t, frame);
  Edges<int64_t> row = edges_at(t, frame.left + range.min_x * kBlock, frame.top + range.min_y * kBlock);
  for (int32_t by = range.min_y; by < range.max_y; ++by) {
    Edges<int64_t> edges = row;
    for (int32_t bx = range.min_x; bx < range.max_x; ++bx) {
      cover_block(tile, visibility, words, t, edges, frame.left + bx * kBlock, frame.top + by * kBlock,
                  block_start<Tile>(bx, by), holes);
      for (int i = 0; i < 3; ++i) edges.at[i] += int64_t(t.step_x[i]) * kBlock;
    }
    for (int i = 0; i < 3; ++i) row.at[i] += int64_t(t.step_y[i]) * kBlock;
  }
}

// The whole triangle by a team of kTeamX x kTeamY lanes, of which this one is (member_x, member_y).
template <class Tile, class Vis, class Word, class Holes>
FS_KERNEL void cover_as_team(Tile& tile, Vis& visibility, Word* words, const Triangle<int32_t>& t,
                             const TileFrame& frame, int32_t member_x, int32_t member_y, const Holes& holes) {
  static_assert(Tile::kBlock == 1);
  const BlockRange range = blocks_of<Tile>(t, frame);
  Edges<int32_t> row = edges_at(t, frame.left + range.min_x + member_x, frame.top + range.min_y + member_y);
  for (int32_t y = range.min_y + member_y; y < range.max_y; y += Tile::kTeamY) {
    Edges<int32_t> edges = row;
    for (int32_t x = range.min_x + member_x; x < range.max_x; x += Tile::kTeamX) {
      if ((edges.at[0] | edges.at[1] | edges.at[2]) >= 0)
        write_block(tile, visibility, words, t, true, frame.left + x, frame.top + y, block_start<Tile>(x, y), holes);
      for (int i = 0; i < 3; ++i) edges.at[i] += t.step_x[i] * Tile::kTeamX;
    }
    for (int i = 0; i < 3; ++i) row.at[i] += t.step_y[i] * Tile::kTeamY;
  }
}

// The whole triangle by all lanes, a block each.
template <class Tile, class E, class Vis, class Word, class Holes>
FS_KERNEL void cover_together(Tile& tile, Vis& visibility, Word* words, const Triangle<E>& t, const TileFrame& frame,
                              const Holes& holes) {
  const BlockRange range = blocks_of<Tile>(t, frame);
  const int32_t across = range.max_x - range.min_x, down = range.max_y - range.min_y;
  if (across <= 0 || down <= 0) return;
  tile.for_one(across * down, [&](int32_t i) {
    const int32_t bx = range.min_x + i % across, by = range.min_y + i / across;
    const int32_t x = frame.left + bx * Tile::kBlock, y = frame.top + by * Tile::kBlock;
    cover_block(tile, visibility, words, t, edges_at(t, x, y), x, y, block_start<Tile>(bx, by), holes);
  });
}

}  // namespace fastsynth
