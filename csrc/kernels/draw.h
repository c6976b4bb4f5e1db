// The fused forward path: instances of packed meshes to pictures and labels, one tile of samples after another, with
// nothing in memory between the geometry and the outputs that were asked for.
//
// A tile culls instances and meshlets against its own frustum, transforms a meshlet's vertices once into shared memory,
// covers pixels, and then shades what is visible. Colour may be drawn at `grid` x `grid` samples per pixel; labels
// always at pixel centres.
#pragma once

#include "resolve.h"

namespace fastsynth {

struct Draw : DrawView {
  template <class Tile>
  using Shared = DrawShared<Tile>;
  static constexpr int kBlocksAtOnce = 2;  // shared memory has room for them, and one alone hides little latency
  template <class Tile>
  static constexpr int lanes() {
    return 256;
  }

  FS_HD int32_t tiles_x(int side) const { return (width + side - 1) / side; }
  FS_HD int32_t tiles_y(int side) const { return (height + side - 1) / side; }
  FS_HD int64_t tiles(int side) const { return int64_t(scene.images) * tiles_x(side) * tiles_y(side); }

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, DrawShared<Tile>& shared) const {
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int32_t across = tiles_x(Tile::kSide), per_image = across * tiles_y(Tile::kSide);
    const int64_t image = tile.index / per_image;
    const int32_t place = int32_t(tile.index % per_image);
    const TileFrame frame{place % across * Tile::kSide, place / across * Tile::kSide, width, height};

    tile.for_each(Tile::kSide * Tile::kSide, [&](Int pixel, Mask) { shared.raster.visibility.clear(pixel); });
    if (seen)
      tile.for_one(min(scene.instances, kCountedShared), [&](int32_t n) {
        int32_t* s = shared.seen[n];
        s[0] = s[1] = 0x7fffffff;
        s[2] = s[3] = -1;
        s[4] = 0;
      });
    if (total || amodal) clear_cover(tile, shared);
    tile.begin_strips(shared.strip);
    tile.sync();

    for (int32_t n = 0; n < scene.instances; ++n) raster_instance(tile, shared, frame, image, n);
    resolve(*this, tile, shared, frame, image);
    tile.end_strips();
    if (seen) {
      tile.sync();
      tile.for_one(min(scene.instances, kCountedShared), [&](int32_t n) {
        const int32_t* s = shared.seen[n];
        if (s[4] > 0) include_seen(seen + 5 * (image * scene.instances + n), s[0], s[1], s[2], s[3], s[4]);
      });
    }
  }

 private:
  template <class Tile>
  FS_KERNEL void clear_cover(Tile& tile, DrawShared<Tile>& shared) const {
    tile.for_one(Tile::kSide * Tile::kSide / 16, [&](int32_t i) { shared.raster.cover[i] = 0; });
  }

  // Planes of the tile's frustum in object space: inside where row . (p, 1) is not negative.
  struct Planes {
    float row[5][4];
    float length[5];
  };
  FS_KERNEL Planes planes_of(const Prepared& p, const TileFrame& frame, int side) const {
    // Half a pixel beyond the tile's last centres is the tile itself; snapping moves a corner by 1/512 pixel at most.
    const float x0 = (float(frame.left) - 0.01f) / float(width) * 2.0f - 1.0f,
                x1 = (float(frame.left + side) + 0.01f) / float(width) * 2.0f - 1.0f;
    const float y0 = (float(frame.top) - 0.01f) / float(height) * 2.0f - 1.0f,
                y1 = (float(frame.top + side) + 0.01f) / float(height) * 2.0f - 1.0f;
    Planes planes;
    for (int c = 0; c < 4; ++c) {
      const float x = p.clip.m[0][c], y = p.clip.m[1][c], w = p.clip.m[2][c];
      planes.row[0][c] = x - x0 * w;
      planes.row[1][c] = x1 * w - x;
      planes.row[2][c] = y - y0 * w;
      planes.row[3][c] = y1 * w - y;
      planes.row[4][c] = w - (c == 3 ? scene.near : 0.0f);
    }
    for (int i = 0; i < 5; ++i) {
      const float* r = planes.row[i];
      planes.length[i] = sqrt(r[0] * r[0] + r[1] * r[1] + r[2] * r[2]);
    }
    return planes;
  }
  // May a sphere reach the tile? A little slack covers the rounding of the test itself.
  template <class T>
  static FS_KERNEL auto reaches(const Planes& planes, Vec3<T> c, T radius) {
    const T r = radius * T(1.0001f);
    auto inside = plane(planes, 0, c, r);
    for (int i = 1; i < 5; ++i) inside = inside & plane(planes, i, c, r);
    return inside;
  }
  template <class T>
  static FS_KERNEL auto plane(const Planes& planes, int i, Vec3<T> c, T r) {
    const float* row = planes.row[i];
    const T x = T(row[0]) * c.x, y = T(row[1]) * c.y, z = T(row[2]) * c.z, w(row[3]);
    const T slack = T(1e-5f) * (abs(x) + abs(y) + abs(z) + abs(w));
    return x + y + z + w + r * T(planes.length[i]) + slack >= T(0.0f);
  }

  // Draws one instance into the tile.
  template <class Tile>
  FS_KERNEL void raster_instance(Tile& tile, DrawShared<Tile>& shared, const TileFrame& frame, int64_t image,
                                 int32_t n) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int64_t instance = image * scene.instances + n;
    const Prepared& p = prepared[instance];
    if (!p.visible) return;
    const Planes planes = planes_of(p, frame, Tile::kSide);
    const float* box = assets.mesh_bounds + 6 * scene.mesh_id[instance];
    const Vec3<float> centre{0.5f * (box[0] + box[3]), 0.5f * (box[1] + box[4]), 0.5f * (box[2] + box[5])};
    const Vec3<float> half{0.5f * (box[3] - box[0]), 0.5f * (box[4] - box[1]), 0.5f * (box[5] - box[2])};
    if (!reaches(planes, centre, sqrt(dot(half, half)))) return;

    Rasterizer<Tile> raster{tile, shared.raster, frame, total != nullptr || amodal != nullptr, alone};
    raster.begin();
    const Vec3<Float> eye = spread<Float>(p.eye);
    for (int32_t begin = 0; begin < p.meshlets; begin += kListed) {
      tile.for_one(1, [&](int32_t) { shared.listed = 0; });
      tile.sync();
      const int32_t first = p.first_meshlet + begin;
      tile.for_each(min(p.meshlets - begin, kListed), [&](Int i, Mask active) {
        Float bounds[8];
        gather_row<8, 3>(assets.meshlet_bounds, i + Int(first), active, bounds);
        const Vec3<Float> c{bounds[0], bounds[1], bounds[2]}, axis{bounds[4], bounds[5], bounds[6]};
        const Float radius = bounds[3], cutoff = bounds[7];
        const Vec3<Float> d = c - eye;
        // A hair of slack: a cone that is only just turned away is drawn and culled face by face.
        const Float away = dot(d, axis) - Float(1.0001f) * (cutoff * sqrt(dot(d, d)) + radius);
        const Mask hidden = (away >= Float(1e-7f)) & (cutoff < Float(1.5f));
        const Mask listed = active & reaches(planes, c, radius) & mask_not(hidden);
        const auto kept = keep(i + Int(first));
        tile.serially(listed, [&](int lane) { shared.list[tile.next(&shared.listed)] = kept[lane]; });
      });
      tile.sync();
      const int32_t listed = shared.listed;
      for (int32_t from = 0; from < listed; from += Tile::kGroup)
        raster_meshlets(tile, shared, raster, p, instance, n, from, min(listed - from, Tile::kGroup));
      tile.sync();
    }
    raster.finish();
    if (total || amodal) count_cover(tile, shared, frame, instance);
  }

  template <class Tile>
  FS_KERNEL void raster_meshlets(Tile& tile, DrawShared<Tile>& shared, Rasterizer<Tile>& raster, const Prepared& p,
                                 int64_t instance, int32_t n, int32_t from, int32_t count) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const Float depth_sign(-scene.near);
    const float w_samples = float(width), h_samples = float(height);
    raster.clear_queues();
    tile.for_groups(count, kMeshletVertices, [&](int32_t g, Int k, Mask active) {
      const int32_t* meshlet = assets.meshlets + 4 * int64_t(shared.list[from + g]);
      active = active & (k < Int(meshlet[1]));
      const Vec3<Float> c = p.clip.point(load_position<Float>(assets, k + Int(meshlet[0]), active));
      Int x, y;
      Float z;
      snap(Corner<Float>{c.x, c.y, depth_sign, c.z}, w_samples, h_samples, x, y, z, active);
      const Int slot = k + Int(g * kMeshletVertices);
      store_run(shared.x, slot, x, active);
      store_run(shared.y, slot, y, active);
      store_run(shared.z, slot, z * Float(p.front), active);
    });
    tile.sync();

    const auto corners = [&](int32_t face, Corner<float>* polygon) {
      for (int i = 0; i < 3; ++i) {
        const float* v = assets.vertex_data + 8 * int64_t(assets.faces[4 * int64_t(face) + i]);
        const Vec3<float> c = p.clip.point(Vec3<float>{v[0], v[1], v[2]});
        polygon[i] = {c.x, c.y, -scene.near, c.z};
      }
      return p.front;
    };
    // Positive area is clockwise as seen: the back, unless the pose mirrors. Only single-sided materials are culled.
    const auto culled_of = [&](Int material) {
      return [&, material](Mask positive, Mask active) -> Mask {
        const Mask back = active & (p.mirrored ? mask_not(positive) : positive);
        if (!any(back)) return back;
        return back & mask_not(gather_alike(assets.materials + 7, material << 3, back) > Float(0.5f));
      };
    };
    const auto culled_one = [&](bool positive, int32_t face) {
      return positive != (p.mirrored != 0) && !(assets.materials[8 * assets.faces[4 * int64_t(face) + 3] + 7] > 0.5f);
    };
    const auto holes = [&](int32_t face) {
      return [&, face](Int x, Int y, Mask inside) {
        const float per_x = 2.0f / w_samples, per_y = 2.0f / h_samples;
        const Float ndc_x = (to_float(x) + Float(0.5f)) * Float(per_x) - Float(1.0f);
        const Float ndc_y = (to_float(y) + Float(0.5f)) * Float(per_y) - Float(1.0f);
        return opaque<Float, Int, Mask>(assets, look, p, instance, face, ndc_x, ndc_y, per_x, per_y, inside);
      };
    };
    tile.for_groups(count, kMeshletFaces + 4, [&](int32_t g, Int k, Mask active) {
      const int32_t* meshlet = assets.meshlets + 4 * int64_t(shared.list[from + g]);
      active = active & (k < Int(meshlet[3]));
      if (!any(active)) return;
      const Int face = k + Int(meshlet[2]);
      Int x[3], y[3], row[4];
      Float z[3];
      gather_row<4, 2>(assets.faces, face, active, row);
      for (int i = 0; i < 3; ++i) {
        const Int corner = row[i] - Int(meshlet[0]);
        active = active & (corner >= Int(0)) &
                 (corner < Int(meshlet[1]));  // a face that strays from its meshlet is not drawn
        x[i] = lookup(shared.x + g * kMeshletVertices, corner);
        y[i] = lookup(shared.y + g * kMeshletVertices, corner);
        z[i] = lookup(shared.z + g * kMeshletVertices, corner);
      }
      const Int id = (face - Int(p.first_face)) | Int(n << face_bits);
      const Mask solid = mask_not(gather_alike(assets.materials + 6, row[3] << 3, active) > Float(0.0f));
      raster.draw(active, x, y, z, face, id, solid, corners, culled_of(row[3]), culled_one, holes);
    });
    if constexpr (Tile::kCooperative) {
      tile.sync();
      raster.draw_queues(holes);
      tile.sync();
    }
  }

  // Adds up, and writes down, the pixels that the instance covers whatever stands before it.
  template <class Tile>
  FS_KERNEL void count_cover(Tile& tile, DrawShared<Tile>& shared, const TileFrame& frame, int64_t instance) const {
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    tile.for_one(1, [&](int32_t) { shared.covered = 0; });
    tile.sync();
    tile.for_blocks(
        shared.strip, Tile::kSide, width - frame.left, height - frame.top,
        [&](Int pixel) { return !any(tile.covered(shared.raster.cover, pixel)); },
        [](int32_t, int32_t, int32_t, int32_t) {},
        [&](Int pixel, int32_t in_x, int32_t in_y) {
          const Position<Tile> at(frame, in_x, in_y);
          const Mask inside = tile.covered(shared.raster.cover, pixel) & at.inside;
          if (!any(inside)) return;
          tile.add(&shared.covered, count(inside));
          if (amodal) store_block(amodal + (instance * height + at.top) * width + at.left, width, Int(1), inside);
        });
    tile.sync();
    tile.for_one(1, [&](int32_t) {
      if (total && shared.covered) atomic_add(total + instance, shared.covered);
    });
    clear_cover(tile, shared);
    tile.sync();
  }
};

}  // namespace fastsynth
