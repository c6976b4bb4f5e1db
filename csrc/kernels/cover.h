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

// The block at (block_x, block_y): which of its samples does the triangle cover, and is it nearest there? `holes(x, y,
// inside)` takes away the samples at which an alpha-masked surface is not there.
template <class Tile, class E, class Vis, class Word, class Holes>
FS_KERNEL void cover_block(Tile& tile, Vis& visibility, Word* words, const Triangle<E>& t, const TileFrame& frame, int32_t bx, int32_t by,
                           const Holes& holes) {
  using Float = typename Tile::Float;
  using Int = typename Tile::Int;
  constexpr int kBlock = Tile::kBlock;
  const Int in_x = block_x(Int()), in_y = block_y(Int());
  const int32_t x = frame.left + bx * kBlock - t.origin_x, y = frame.top + by * kBlock - t.origin_y;
  Int edges[3];
  for (int i = 0; i < 3; ++i) {
    E base = t.edge[i] + E(x) * t.step_x[i] + E(y) * t.step_y[i];
    if constexpr (sizeof(E) == 8) {
      // Within a block the function changes by less than 2^28, so beyond 2^30 only the sign matters.
      const E change = E(kBlock - 1) * (max(t.step_x[i], 0) + max(t.step_y[i], 0));
      if (base + change < 0) return;
      base = min(base, E(1 << 30));
    }
    edges[i] = Int(int32_t(base)) + multiply(in_x, Int(t.step_x[i])) + multiply(in_y, Int(t.step_y[i]));
  }
  auto inside = (edges[0] | edges[1] | edges[2]) >= Int(0);
  if (!any(inside)) return;
  const Float dx = to_float(in_x + Int(x)), dy = to_float(in_y + Int(y));
  const Float plane = Float(t.z_0) + dx * Float(t.z_x) + dy * Float(t.z_y);
  const Float z = min(max(plane, Float(t.z_min)), Float(t.z_max));
  inside = inside & (z <= Float(1.0f));
  inside = holes(in_x + Int(frame.left + bx * kBlock), in_y + Int(frame.top + by * kBlock), inside);
  const int32_t first = block_start<Tile>(bx, by);
  if (words) tile.cover(words, first, inside);
  visibility.update(first, inside, z, t.id);
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

// The whole triangle by one lane.
template <class Tile, class E, class Vis, class Word, class Holes>
FS_KERNEL void cover(Tile& tile, Vis& visibility, Word* words, const Triangle<E>& t, const TileFrame& frame, const Holes& holes) {
  const BlockRange range = blocks_of<Tile>(t, frame);
  for (int32_t by = range.min_y; by < range.max_y; ++by)
    for (int32_t bx = range.min_x; bx < range.max_x; ++bx) cover_block(tile, visibility, words, t, frame, bx, by, holes);
}

// The whole triangle by all lanes, a block each.
template <class Tile, class E, class Vis, class Word, class Holes>
FS_KERNEL void cover_together(Tile& tile, Vis& visibility, Word* words, const Triangle<E>& t, const TileFrame& frame, const Holes& holes) {
  const BlockRange range = blocks_of<Tile>(t, frame);
  const int32_t across = range.max_x - range.min_x, down = range.max_y - range.min_y;
  if (across <= 0 || down <= 0) return;
  tile.for_one(across * down, [&](int32_t i) {
    cover_block(tile, visibility, words, t, frame, range.min_x + i % across, range.min_y + i / across, holes);
  });
}

}  // namespace fastsynth
