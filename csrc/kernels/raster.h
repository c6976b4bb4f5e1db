// Triangles of a list, in clip space, into the visibility of a tile. The caller says where corners come from; this is
// all that the scene's meshlets and the plain `rasterize` have in common.
#pragma once

#include "cover.h"

namespace fastsynth {

// Marks a snapped corner that the 32-bit path cannot take: behind the near plane, not finite, or far away.
constexpr int32_t kNotSimple = -(1 << 29);
constexpr float kFinite = 3e38f;
constexpr int kSmallSide = 8;  // [pixels] of its bounds, up to which a triangle waits for others as small as it is
// Where a lane is a thread, it draws alone what is smaller still. What is larger is put down in shared memory and drawn
// by teams of lanes or, if it is large, by all lanes together; where that is full, by its own lane, however long it
// takes.
constexpr int kAloneArea = 8;   // [pixels] of its bounds in the tile, up to which a triangle is drawn by one lane
constexpr int kTeamArea = 256;  // up to which by a team
constexpr int kTeamQueue = 64, kQueue = 24;

enum Cull : int32_t { kCullNone = 0, kCullBack = 1, kCullFront = 2 };

// Triangles that wait for lanes, with the face whose holes they have (-1 = none).
template <class E, int N>
struct Queue {
  Triangle<E> triangle[N];
  int32_t face[N];
  int32_t count;  // may be more than there is room for

  FS_KERNEL int32_t kept() const { return min(count, N); }
  template <class Tile, class Other>
  FS_KERNEL bool push(Tile& tile, const Triangle<Other>& from, int32_t with_holes) {
    const int32_t slot = tile.next(&count);
    if (slot >= N) return false;
    triangle[slot] = from.template as<E>();
    face[slot] = with_holes;
    return true;
  }
};

template <class Tile>
using NearestOfTile = typename Tile::template Visibility<Tile::kSide * Tile::kSide>;

// `Visibility` keeps of the triangles that are offered to a sample the one that is wanted.
template <class Tile, class Visibility = NearestOfTile<Tile>>
struct RasterShared {
  Visibility visibility;
  typename Tile::CoverWord cover[Tile::kSide * Tile::kSide / 16];
  typename Tile::template Records<SmallTriangles<Tile>::kNumbers> small;
  Queue<int32_t, Tile::kCooperative ? kTeamQueue : 1> team;
  Queue<int64_t, Tile::kCooperative ? kQueue : 1> all;
};

// A corner in clip space to the grid; x is kNotSimple where it cannot be.
template <class Float, class Int, class Mask>
FS_KERNEL void snap(const Corner<Float>& c, float width, float height, Int& x, Int& y, Float& z, Mask active) {
  const auto ahead = (c.z >= -c.w) & (c.w > Float(0.0f));
  const Float inverse = Float(1.0f) / select(ahead, c.w, Float(1.0f));
  const Float sx = snapped(c.x * inverse, width), sy = snapped(c.y * inverse, height);
  z = c.z * inverse;
  const auto near_by = (abs(sx) < Float(kFar)) & (abs(sy) < Float(kFar)) & (abs(z) < Float(kFinite)) &
                       (c.w < Float(kFinite));  // false for NaN; an infinite w would put the corner at the centre
  const auto simple = ahead & near_by & active;
  x = select(simple, floor_int(sx), Int(kNotSimple));
  y = select(simple, floor_int(sy), Int(0));
}

template <class Tile, class Visibility = NearestOfTile<Tile>>
struct Rasterizer {
  using Float = typename Tile::Float;
  using Int = typename Tile::Int;
  using Mask = typename Tile::Mask;

  Tile& tile;
  RasterShared<Tile, Visibility>& shared;
  TileFrame frame;
  bool covering;   // record coverage whatever the depth
  int32_t* alone;  // counts the triangles that one lane draws for want of room; may be null

  FS_KERNEL typename Tile::CoverWord* words() const { return covering ? shared.cover : nullptr; }

  // Between begin() and finish() some triangles wait for others, to be drawn together.
  FS_KERNEL void begin() { tile.collect_begin(shared.small); }
  FS_KERNEL void finish() {
    tile.flush(shared.small, [&](const auto& record, Mask active) { cover_record(record, active); });
  }

  // Lanes' triangles, already snapped. `face` names them to `corners` and `holes`, `id` goes into the picture; `solid`
  // lanes have no holes.
  //   corners(face, Corner<float>[3]): the clip-space corners, for the triangles that need more care; returns what their
  //     z/w is multiplied by, as that of `z` was
  //   culled(is_back, active): which lanes' triangles are not drawn, given which face away
  //   culled_one(is_back, face): the same for one
  //   holes(face) -> (x, y, inside) -> inside
  template <class Corners, class Culled, class CulledOne, class Holes>
  FS_KERNEL void draw(Mask active, const Int x[3], const Int y[3], const Float z[3], Int face, Int id, Mask solid,
                      const Corners& corners, const Culled& culled, const CulledOne& culled_one, const Holes& holes) {
    const Mask simple = (x[0] != Int(kNotSimple)) & (x[1] != Int(kNotSimple)) & (x[2] != Int(kNotSimple));
    const Int left = min(min(x[0], x[1]), x[2]), right = max(max(x[0], x[1]), x[2]);
    const Int top = min(min(y[0], y[1]), y[2]), bottom = max(max(y[0], y[1]), y[2]);
    const Mask small = simple & ((right - left) < Int(kSmall)) & ((bottom - top) < Int(kSmall));
    const Int min_x = max(first_pixel(left), Int(0)), min_y = max(first_pixel(top), Int(0));
    const Int max_x = min(end_pixel(right), Int(frame.width)), max_y = min(end_pixel(bottom), Int(frame.height));
    // Pixel centres of this tile inside the bounds? Most triangles of a fine mesh fall between the centres.
    const Mask here = (max(min_x, Int(frame.left)) < min(max_x, Int(frame.left + Tile::kSide))) &
                      (max(min_y, Int(frame.top)) < min(max_y, Int(frame.top + Tile::kSide)));
    const Mask careful = active & mask_not(small) & (here | mask_not(simple));
    if (any(careful)) draw_carefully(careful, face, id, corners, culled_one, holes);

    Mask drawn = active & small & here;
    if (!any(drawn)) return;
    const Int x1 = x[1] - x[0], y1 = y[1] - y[0], x2 = x[2] - x[0], y2 = y[2] - y[0];
    const Int area = select(drawn, multiply(x1, y2) - multiply(x2, y1), Int(0));
    drawn = drawn & (area != Int(0));
    drawn = drawn & mask_not(culled(area > Int(0), drawn));
    if (!any(drawn)) return;

    // Clockwise as seen, so that the inside is positive.
    const Mask turned = area < Int(0);
    const Int cx[3] = {x[0], select(turned, x[2], x[1]), select(turned, x[1], x[2])};
    const Int cy[3] = {y[0], select(turned, y[2], y[1]), select(turned, y[1], y[2])};
    const Int px = (min_x << 8) + Int(kSubpixels / 2), py = (min_y << 8) + Int(kSubpixels / 2);
    Int step_x[3], step_y[3], edge[3];
    for (int i = 0; i < 3; ++i) {
      const int b = i == 2 ? 0 : i + 1;
      const Int dx = cx[b] - cx[i], dy = cy[b] - cy[i];
      edge[i] = (multiply(dx, py - cy[i]) - multiply(dy, px - cx[i]) - select(owns(dx, dy), Int(0), Int(1))) >> 8;
      step_x[i] = -dy;
      step_y[i] = dx;
    }
    const Float inverse = Float(1.0f) / to_float(select(drawn, area, Int(1)));
    const Float z1 = z[1] - z[0], z2 = z[2] - z[0];
    const Float slope_x = (z1 * to_float(y2) - z2 * to_float(y1)) * inverse,
                slope_y = (z2 * to_float(x1) - z1 * to_float(x2)) * inverse;
    const Float z_0 = z[0] + slope_x * to_float(px - x[0]) + slope_y * to_float(py - y[0]);
    const Float z_x = slope_x * Float(float(kSubpixels)), z_y = slope_y * Float(float(kSubpixels));
    const Float z_min = min(min(z[0], z[1]), z[2]), z_max = max(max(z[0], z[1]), z[2]);
    const Mask one_lane_s = Mask(!Tile::kCooperative) & drawn & solid & ((max_x - min_x) <= Int(kSmallSide)) &
                            ((max_y - min_y) <= Int(kSmallSide));
    if (any(one_lane_s)) {
      const Int record[SmallTriangles<Tile>::kNumbers] = {
          edge[0], edge[1], edge[2], step_x[0],   step_x[1],   step_y[0],   step_y[1],     min_x,        min_y,
          max_x,   max_y,   id,      as_int(z_0), as_int(z_x), as_int(z_y), as_int(z_min), as_int(z_max)};
      tile.collect(shared.small, record, one_lane_s, [&](const auto& full, Mask every) { cover_record(full, every); });
      drawn = drawn & mask_not(one_lane_s);
      if (!any(drawn)) return;
    }
    const auto k_ex0 = keep(edge[0]), k_ex1 = keep(edge[1]), k_ex2 = keep(edge[2]);
    const auto k_sx0 = keep(step_x[0]), k_sx1 = keep(step_x[1]), k_sx2 = keep(step_x[2]);
    const auto k_sy0 = keep(step_y[0]), k_sy1 = keep(step_y[1]), k_sy2 = keep(step_y[2]);
    const auto k_min_x = keep(min_x), k_min_y = keep(min_y), k_max_x = keep(max_x), k_max_y = keep(max_y);
    const auto k_z = keep(z_0), k_zx = keep(z_x), k_zy = keep(z_y), k_z_min = keep(z_min), k_z_max = keep(z_max);
    const auto k_id = keep(id), k_face = keep(face);
    const auto triangle = [&](int lane) {
      return Triangle<int32_t>{{k_sx0[lane], k_sx1[lane], k_sx2[lane]},
                               {k_sy0[lane], k_sy1[lane], k_sy2[lane]},
                               {k_ex0[lane], k_ex1[lane], k_ex2[lane]},
                               k_min_x[lane],
                               k_min_y[lane],
                               k_min_x[lane],
                               k_min_y[lane],
                               k_max_x[lane],
                               k_max_y[lane],
                               k_z[lane],
                               k_zx[lane],
                               k_zy[lane],
                               k_z_min[lane],
                               k_z_max[lane],
                               k_id[lane]};
    };
    if constexpr (Tile::kCooperative) {  // once, for the sake of the code's size
      const int32_t with_holes = all(solid) ? -1 : k_face[0];
      tile.serially(drawn, [&](int lane) { emit(triangle(lane), with_holes, where_solid(with_holes, holes)); });
    } else {
      tile.serially(drawn & solid, [&](int lane) { emit(triangle(lane), -1, Everywhere{}); });
      tile.serially(drawn & mask_not(solid),
                    [&](int lane) { emit(triangle(lane), k_face[lane], holes(k_face[lane])); });
    }
  }

  // Where lanes are threads, between clear_queues() and sync(), draw(), sync(), draw_queues(): what draw() left for
  // several lanes to do together.
  FS_KERNEL void clear_queues() {
    if constexpr (Tile::kCooperative) tile.for_one(1, [&](int32_t) { shared.team.count = shared.all.count = 0; });
  }
  template <class Holes>
  FS_KERNEL void draw_queues(const Holes& holes) {
    if constexpr (Tile::kCooperative) {
      tile.for_teams(shared.team.kept(), [&](int32_t i, int32_t member_x, int32_t member_y) {
        cover_as_team(tile, shared.visibility, words(), shared.team.triangle[i], frame, member_x, member_y,
                      where_solid(shared.team.face[i], holes));
      });
      const int32_t large = shared.all.kept();
      for (int32_t i = 0; i < large; ++i)
        cover_together(tile, shared.visibility, words(), shared.all.triangle[i], frame,
                       where_solid(shared.all.face[i], holes));
    }
  }

 private:
  FS_KERNEL void cover_record(const Int (&r)[SmallTriangles<Tile>::kNumbers], Mask active) {
    const SmallTriangles<Tile> t = {{r[0], r[1], r[2]},
                                    {r[3], r[4]},
                                    {r[5], r[6]},
                                    r[7],
                                    r[8],
                                    r[9],
                                    r[10],
                                    r[11],
                                    r[12],
                                    r[13],
                                    r[14],
                                    r[15],
                                    r[16]};
    cover_small(tile, shared.visibility, words(), t, active, frame);
  }

  // Takes away the holes of a face, if there is one.
  template <class Holes>
  static FS_KERNEL auto where_solid(int32_t face, const Holes& holes) {
    return [&holes, face](Int x, Int y, Mask inside) -> Mask { return face < 0 ? inside : holes(face)(x, y, inside); };
  }

  struct Everywhere {
    FS_KERNEL Mask operator()(Int, Int, Mask inside) const { return inside; }
  };

  template <class E, class Inside>
  FS_KERNEL void emit(const Triangle<E>& t, int32_t face, const Inside& inside) {
    if constexpr (Tile::kCooperative) {
      const BlockRange range = blocks_of<Tile>(t, frame);
      const int32_t area = max(range.max_x - range.min_x, 0) * max(range.max_y - range.min_y, 0);
      if (area > kAloneArea) {
        if constexpr (sizeof(E) == 4) {
          if (area <= kTeamArea && shared.team.push(tile, t, face)) return;
        }
        if ((sizeof(E) == 8 || area > kTeamArea) && shared.all.push(tile, t, face)) return;
        if (alone) atomic_add(alone, 1);
      }
    }
    cover(tile, shared.visibility, words(), t, frame, inside);
  }

  // Large triangles, and those that need clipping: one at a time.
  template <class Corners, class CulledOne, class Holes>
  FS_KERNEL void draw_carefully(Mask careful, Int face, Int id, const Corners& corners, const CulledOne& culled,
                                const Holes& holes) {
    const auto k_face = keep(face), k_id = keep(id);
    tile.serially(careful, [&](int lane) {
      Corner<float> polygon[kMaxCorners];
      const float front = corners(k_face[lane], polygon);
      const int count = clip(polygon, 3, frame.width, frame.height);
      if (count < 3) return;
      int32_t x[kMaxCorners], y[kMaxCorners];
      float z[kMaxCorners];
      for (int i = 0; i < count; ++i) {
        const float inverse = 1.0f / polygon[i].w;
        const float sx = snapped(polygon[i].x * inverse, float(frame.width)),
                    sy = snapped(polygon[i].y * inverse, float(frame.height));
        z[i] = polygon[i].z * inverse * front;
        if (!(abs(sx) < 3e8f) || !(abs(sy) < 3e8f) || !(abs(z[i]) < kFinite) || !(polygon[i].w < kFinite)) return;
        x[i] = floor_int(sx);
        y[i] = floor_int(sy);
      }
      int64_t area = 0;
      for (int i = 2; i < count; ++i)
        area += int64_t(x[i - 1] - x[0]) * (y[i] - y[0]) - int64_t(x[i] - x[0]) * (y[i - 1] - y[0]);
      if (area == 0 || culled(area > 0, k_face[lane])) return;
      for (int i = 2; i < count; ++i) {
        const int32_t fan_x[3] = {x[0], x[i - 1], x[i]}, fan_y[3] = {y[0], y[i - 1], y[i]};
        const float fan_z[3] = {z[0], z[i - 1], z[i]};
        Triangle<int64_t> t;
        if (set_up(fan_x, fan_y, fan_z, k_id[lane], frame.width, frame.height, t))
          emit(t, k_face[lane], holes(k_face[lane]));
      }
    });
  }
};

}  // namespace fastsynth
