// Matrices, level of detail and visibility of every instance: one item each.
#pragma once

#include "layers.h"
#include "scene.h"

namespace fastsynth {

struct Prepare {
  static constexpr int kLanes = 64;
  template <class Tile>
  struct Shared {};
  template <class Tile>
  static constexpr int lanes() {
    return kLanes;
  }

  AssetView assets;
  SceneView scene;
  int32_t width, height;  // [pixels] of the labels' image
  float lod;              // [pixels] largest projected error; 0 = level 0
  Prepared* out;          // [B, N]
  int32_t* bad;           // [1] set to 1 + the flat number of an instance whose mesh does not exist

  FS_HD int64_t tiles() const { return (int64_t(scene.images) * scene.instances + kLanes - 1) / kLanes; }

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>&) const {
    const int64_t total = int64_t(scene.images) * scene.instances;
    const int64_t first = tile.index * kLanes;
    tile.for_one(int32_t(min(total - first, int64_t(kLanes))), [&](int32_t k) { prepare(first + k); });
  }

 private:
  FS_KERNEL void prepare(int64_t i) const {
    Prepared& p = out[i];
    p.visible = 0;
    const int32_t mesh = scene.mesh_id[i];
    if (mesh < 0) return;
    if (mesh >= assets.mesh_count) {
      atomic_max(bad, int32_t(min(i, int64_t(0x7ffffffe))) + 1);
      return;
    }
    const int64_t b = i / scene.instances;
    const Affine world = load_affine(scene.world_from_object + 16 * i);
    const Affine camera = compose(load_affine(scene.camera_from_world + 16 * b), world);
    const float* k = scene.intrinsics + 9 * b;
    const float aspect = 2.0f * float(height) / float(width);
    for (int c = 0; c < 4; ++c) {
      p.clip.m[0][c] = aspect * (k[0] * camera.m[0][c] + k[1] * camera.m[1][c] + k[2] * camera.m[2][c]);
      p.clip.m[1][c] = 2.0f * (k[4] * camera.m[1][c] + k[5] * camera.m[2][c]);
      p.clip.m[2][c] = camera.m[2][c];
    }
    p.world = world;
    p.normal = normal_map(world);
    const float det = determinant(camera);
    p.mirrored = det < 0;
    p.front = scene.layer ? layer_scale(scene.layer[i]) : 1.0f;
    if (!(abs(det) > 1e-30f) || !(abs(det) < 1e30f)) return;  // flat, or not finite: nothing to see
    // Where the camera's centre lies in the object's frame: minus the inverse's product with the translation.
    const Affine cofactors = normal_map(camera);
    const float scale = -1.0f / abs(det);
    for (int c = 0; c < 3; ++c)
      p.eye[c] = scale * (cofactors.m[0][c] * camera.m[0][3] + cofactors.m[1][c] * camera.m[1][3] +
                          cofactors.m[2][c] * camera.m[2][3]);

    const float* box = assets.mesh_bounds + 6 * mesh;
    const Vec3<float> centre{0.5f * (box[0] + box[3]), 0.5f * (box[1] + box[4]), 0.5f * (box[2] + box[5])};
    const Vec3<float> half{0.5f * (box[3] - box[0]), 0.5f * (box[4] - box[1]), 0.5f * (box[5] - box[2])};
    const float radius = sqrt(dot(half, half));
    const Vec3<float> row_w{p.clip.m[2][0], p.clip.m[2][1], p.clip.m[2][2]};
    const float reach = radius * sqrt(dot(row_w, row_w));
    const float depth = p.clip.row(2, centre);
    if (depth + reach < scene.near) return;

    // The coarsest level whose error, at the object's nearest point, stays under `lod` pixels.
    const int32_t* rows = assets.meshes + 4 * mesh;
    int32_t level = 0;
    if (lod > 0) {
      float stretch = 0;  // pixels per metre of object space at unit depth
      for (int c = 0; c < 3; ++c) {
        const float x = camera.m[0][c], y = camera.m[1][c], z = camera.m[2][c];
        stretch = max(stretch, sqrt(x * x + y * y + z * z));
      }
      stretch = stretch * max(abs(k[0]), abs(k[4])) * float(height);
      const float nearest = max(depth - reach, scene.near);
      for (int32_t candidate = 1; candidate < rows[1]; ++candidate)
        if (assets.level_error[rows[0] + candidate] * stretch <= lod * nearest) level = candidate;
    }
    const int32_t* level_row = assets.levels + 4 * (rows[0] + level);
    p.first_meshlet = level_row[0];
    p.meshlets = level_row[1];
    p.first_face = level_row[2];
    p.faces = level_row[3];
    p.level = level;
    p.visible = level_row[1] > 0;
  }
};

// Extents of the whole objects in the image, from the vertices of their convex hulls; what lies before the near plane
// is cut off.
struct LooseBoxes {
  template <class Tile>
  struct Shared {
    int32_t extent[4];  // ordered bits of min x, min y, max x, max y
  };
  template <class Tile>
  static constexpr int lanes() {
    return 64;
  }

  AssetView assets;
  SceneView scene;
  const Prepared* prepared;
  int32_t width, height;
  float* boxes;  // [B, N, 4]

  FS_HD int64_t tiles() const { return int64_t(scene.images) * scene.instances; }

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>& shared) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const Prepared& p = prepared[tile.index];
    float* box = boxes + 4 * tile.index;
    if (!p.visible) {
      tile.for_one(4, [&](int32_t i) { box[i] = 0.0f; });
      return;
    }
    tile.for_one(4, [&](int32_t i) { shared.extent[i] = i < 2 ? 0x7fffffff : -0x7fffffff - 1; });
    tile.sync();
    const int32_t* mesh = assets.meshes + 4 * scene.mesh_id[tile.index];
    const float* hull = assets.hull + 3 * int64_t(mesh[2]);
    const int32_t vertices = mesh[3];
    const float w_half = float(width), h_half = float(height), near = scene.near;
    const auto include = [&](Float x, Float y, Mask active) {
      const Int u = ordered((x * Float(0.5f) + Float(0.5f)) * Float(w_half)),
                v = ordered((y * Float(0.5f) + Float(0.5f)) * Float(h_half));
      if (!any(active)) return;
      tile.least(&shared.extent[0], min_over(u, active));
      tile.least(&shared.extent[1], min_over(v, active));
      tile.most(&shared.extent[2], max_over(u, active));
      tile.most(&shared.extent[3], max_over(v, active));
    };
    tile.for_each(vertices, [&](Int i, Mask active) {
      const Int at = i + i + i;
      const Vec3<Float> v{gather(hull, at, active), gather(hull + 1, at, active), gather(hull + 2, at, active)};
      const Vec3<Float> c = p.clip.point(v);
      const Mask ahead = active & (c.z >= Float(near));
      const Float inverse = Float(1.0f) / select(ahead, c.z, Float(1.0f));
      include(c.x * inverse, c.y * inverse, ahead);
      // The part of a convex body behind the plane is cut off along the segments that join its two sides.
      const Mask behind = active & (c.z < Float(near));
      if (!any(behind)) return;
      for (int32_t j = 0; j < vertices; ++j) {
        const Vec3<float> o = p.clip.point(Vec3<float>{hull[3 * j], hull[3 * j + 1], hull[3 * j + 2]});
        if (!(o.z >= near)) continue;
        const Float part = (Float(near) - c.z) / (Float(o.z) - c.z);
        include((c.x + part * (Float(o.x) - c.x)) * Float(1.0f / near),
                (c.y + part * (Float(o.y) - c.y)) * Float(1.0f / near), behind);
      }
    });
    tile.sync();
    tile.for_one(4, [&](int32_t i) {
      const bool empty = shared.extent[0] > shared.extent[2];
      box[i] = empty ? 0.0f : from_ordered(shared.extent[i]);
    });
  }
};

}  // namespace fastsynth
