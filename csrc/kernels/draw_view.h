// What the fused drawing kernel reads and writes.
#pragma once

#include "pixel.h"
#include "raster.h"

namespace fastsynth {

constexpr int kListed = 256;         // meshlets culled at a time
constexpr int kCountedShared = 128;  // instances whose extents a tile keeps in shared memory

struct DrawView {
  AssetView assets;
  SceneView scene;
  LookView look;
  const Prepared* prepared;
  int32_t width, height;  // [samples]
  int32_t grid;           // samples along a pixel's side; 1 when labels are drawn
  int32_t face_bits;      // of a visibility number; the instance stands above them
  // Outputs, null where not asked for. Pixels are [B, H / grid, W / grid].
  float* rgb_float;  // [B, 3, H, W] display-referred, or linear radiance when `linear`
  uint8_t* rgb_byte;
  int32_t linear;
  int32_t *instance_id, *triangle_id, *semantic_id;
  const int32_t* mesh_class;
  float *depth, *distance, *normals, *object_coordinates, *uv;
  int32_t* seen;    // [B, N, 5] extent of the visible pixels (max inclusive) and their number
  int32_t* total;   // [B, N] pixels if nothing else stood in the way
  uint8_t* amodal;  // [B, N, H, W]
  int32_t* alone;   // [1] triangles drawn the slow way, because shared memory had no room for them; or null
};

template <class Tile>
struct DrawShared {
  RasterShared<Tile> raster;
  alignas(64) int32_t x[Tile::kGroup * kMeshletVertices];
  alignas(64) int32_t y[Tile::kGroup * kMeshletVertices];
  alignas(64) float z[Tile::kGroup * kMeshletVertices];
  int32_t list[kListed];
  int32_t listed;
  int32_t covered;
  int32_t seen[kCountedShared][5];  // min x, min y, max x, max y, pixels
  typename Tile::Strip strip;
};

// Planes of the outputs, by the names of the outputs.
enum Plane : int {
  kRgbPlane = 0,
  kInstancePlane = 3,
  kTrianglePlane,
  kSemanticPlane,
  kDepthPlane,
  kDistancePlane,
  kNormalPlane,
  kObjectPlane = kNormalPlane + 3,
  kUvPlane = kObjectPlane + 3
};
static_assert(kUvPlane + 2 <= kPlanes);

// Where the lanes' samples lie in the image.
template <class Tile>
struct Position {
  using Int = typename Tile::Int;
  int32_t left, top, in_x;  // of the block: in the image, in the tile
  Int x, y;
  typename Tile::Mask inside;

  // Of the block whose first sample is (x_in_tile, y_in_tile) in the tile.
  FS_KERNEL Position(const TileFrame& frame, int32_t x_in_tile, int32_t y_in_tile) {
    in_x = x_in_tile;
    left = frame.left + in_x;
    top = frame.top + y_in_tile;
    x = block_x(Int()) + Int(left);
    y = block_y(Int()) + Int(top);
    inside = (x < Int(frame.width)) & (y < Int(frame.height));
  }
};

FS_KERNEL void include_seen(int32_t* to, int32_t x0, int32_t y0, int32_t x1, int32_t y1, int32_t pixels) {
  atomic_min(to, x0);
  atomic_min(to + 1, y0);
  atomic_max(to + 2, x1);
  atomic_max(to + 3, y1);
  atomic_add(to + 4, pixels);
}

}  // namespace fastsynth
