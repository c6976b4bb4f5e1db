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

// The block whose first sample is (x, y): which of its samples does the triangle cover, and is it nearest there?
// `holes(x, y, inside)` takes away the samples at which an alpha-masked surface is not there.
template <class Tile, class E, class Vis, class Word, class Holes>
FS_KERNEL void cover_block(Tile& tile, Vis& visibility, Word* words, const Triangle<E>& t, const Edges<E>& edges,
                           int32_t x, int32_t y, int32_t first, const Holes& holes) {
  using Float = typename Tile::Float;
  using Int = typename Tile::Int;
  constexpr int kBlock = Tile::kBlock;
  const Int in_x = block_x(Int()), in_y = block_y(Int());
  Int inside_all(0);
  for (int i = 0; i < 3; ++i) {
    E base = edges.at[i];
    if constexpr (sizeof(E) == 8) {
      // Within a block the function changes by less than 2^28, so beyond 2^30 only the sign matters.
      const E change = E(kBlock - 1) * (max(t.step_x[i], 0) + max(t.step_y[i], 0));
      if (base + change < 0) return;
      base = min(base, E(1 << 30));
    }
    inside_all =
        inside_all | (Int(int32_t(base)) + multiply(in_x, Int(t.step_x[i])) + multiply(in_y, Int(t.step_y[i])));
  }
  auto inside = inside_all >= Int(0);
  if (!any(inside)) return;
  const Float dx = to_float(in_x + Int(x - t.origin_x)), dy = to_float(in_y + Int(y - t.origin_y));
  const Float plane = Float(t.z_0) + dx * Float(t.z_x) + dy * Float(t.z_y);
  const Float z = min(max(plane, Float(t.z_min)), Float(t.z_max));
  inside = inside & (z <= Float(1.0f));
  inside = holes(in_x + Int(x), in_y + Int(y), inside);
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
FS_KERNEL void cover(Tile& tile, Vis& visibility, Word* words, const Triangle<E>& t, const TileFrame& frame,
                     const Holes& holes) {
  constexpr int kBlock = Tile::kBlock;
  const BlockRange range = blocks_of<Tile>(t, frame);
  Edges<E> row = edges_at(t, frame.left + range.min_x * kBlock, frame.top + range.min_y * kBlock);
  for (int32_t by = range.min_y; by < range.max_y; ++by) {
    Edges<E> edges = row;
    for (int32_t bx = range.min_x; bx < range.max_x; ++bx) {
      cover_block(tile, visibility, words, t, edges, frame.left + bx * kBlock, frame.top + by * kBlock,
                  block_start<Tile>(bx, by), holes);
      for (int i = 0; i < 3; ++i) edges.at[i] += E(t.step_x[i]) * kBlock;
    }
    for (int i = 0; i < 3; ++i) row.at[i] += E(t.step_y[i]) * kBlock;
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
