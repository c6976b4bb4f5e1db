// How much of a light's lamp a point sees: percentage-closer soft shadows (Fernando 2005) from maps of the depths that
// the lights see (Williams 1978; filtered as by Reeves, Salesin and Cook 1987).
//
// A light has a pinhole camera of its own, a directional light's stands far outside the scene. Its lamp is a disc around
// the pinhole. What stands between a point and the lamp is looked for in a disc of the map, its mean depth gives the
// part of the map that the point sees the lamp through, and the part of it that is free is the answer. A tap compares
// depths at the centre of a texel, against the plane through the point: a flat surface, however steep, then never
// shadows itself, and the offset along the normal has only to make good for curvature and rounding.
//
// All of it is taken as a constant by the gradients: what moves a shadow's border has none.
#pragma once

#include "vec.h"

namespace fastsynth {

// Numbers of a light's camera: camera from world [3, 4], focal lengths x and y in sides of the map, the lamp's radius
// [m] (negative: the light casts no shadow in this image), and the depth of the nearest thing that may cast one [m].
enum ShadowCamera : int { kShadowFocalX = 12, kShadowFocalY, kShadowLamp, kShadowNearest, kShadowNumbers };

// The maps of one image: those of its lights that may cast shadows, one after another.
struct Shadows {
  const float *maps, *cameras;  // [S, size, size] depth [m], 0 = nothing; [S, 16]
  int32_t size;
  uint32_t casters;  // which lights, a bit each

  FS_HD bool casts(int light) const { return (casters >> light & 1u) != 0; }
  FS_HD int row(int light) const {
    int row = 0;
    for (int i = 0; i < light; ++i) row += int(casters >> i & 1u);
    return row;
  }
};

constexpr int kSearchTaps = 24, kFilterTaps = 48;
constexpr float kNormalOffset = 0.5f;   // [texels] from the surface
constexpr float kDepthOffset = 0.75f;   // [texels] towards the light: where surfaces meet, one stands before the other
constexpr float kLeastFilter = 1.0f;    // [texels] radius of the filter
constexpr float kMostSearch = 0.125f;   // [sides of the map] radius of the search
constexpr float kGrazingShadow = 0.1f;  // cosine from which on a surface's plane is followed no further
constexpr float kShadowRounding = 2e-6f;  // of a depth

// A point and the plane through it as a light's camera sees them.
template <class T>
struct InShadowMap {
  const float* map;
  int32_t size;
  float focal_x, focal_y;
  T u, v, z, facing;  // place in texels; depth; cosine towards the light, times the length of the ray
  T kept;             // of the depth, that what stands before the point is nearer by at least
  Vec3<T> normal;

  FS_HD InShadowMap(const float* depths, const float* camera, int32_t side, Vec3<T> position, Vec3<T> world_normal)
      : map(depths), size(side), focal_x(camera[kShadowFocalX]), focal_y(camera[kShadowFocalY]) {
    const Affine from_world = load_affine(camera);
    const float per_texel = 1.0f / (min(focal_x, focal_y) * float(side));
    const T away = from_world.row(2, position) * T(kNormalOffset * per_texel);
    const Vec3<T> p = from_world.point(position + world_normal * away);
    normal = from_world.direction(world_normal);
    z = max(p.z, T(1e-6f));
    const T x = p.x / z, y = p.y / z;
    u = (x * T(focal_x) + T(0.5f)) * T(float(size));
    v = (y * T(focal_y) + T(0.5f)) * T(float(size));
    kept = z * T(1.0f - kDepthOffset * per_texel - kShadowRounding);
    facing = T(0.0f) - (normal.x * x + normal.y * y + normal.z);
  }

  // What lies before the plane at the texel around (at_u, at_v): how far nearer to the light than the point, or -1.
  FS_HD T blocker(T at_u, T at_v) const {
    const T zero(0.0f), last = T(float(size - 1));
    const T left = min(max(floor(at_u), zero), last), top = min(max(floor(at_v), zero), last);
    const T x = ((left + T(0.5f)) * T(1.0f / float(size)) - T(0.5f)) * T(1.0f / focal_x);
    const T y = ((top + T(0.5f)) * T(1.0f / float(size)) - T(0.5f)) * T(1.0f / focal_y);
    const T ray = zero - (normal.x * x + normal.y * y + normal.z);
    const T plane = kept + z * (facing - ray) / max(ray, T(kGrazingShadow));
    const auto index = multiply(as_whole(top), decltype(as_whole(top))(size)) + as_whole(left);
    const auto within = (at_u >= zero) & (at_v >= zero) & (at_u < T(float(size))) & (at_v < T(float(size)));
    const T depth = gather(map, index, within);
    const auto before = within & (depth > zero) & (depth < plane);
    return select(before, max(z - depth, zero), T(-1.0f));
  }

  // The part of the four texels around the point that is free, by how near each is.
  FS_HD T bilinear() const {
    const T one(1.0f), half(0.5f), zero(0.0f);
    const T x = u - half, y = v - half, part_x = x - floor(x), part_y = y - floor(y);
    const auto free = [&](float right, float down) {
      return select(blocker(u + T(right - 0.5f), v + T(down - 0.5f)) < zero, one, zero);
    };
    const T upper = free(0.0f, 0.0f) * (one - part_x) + free(1.0f, 0.0f) * part_x;
    const T lower = free(0.0f, 1.0f) * (one - part_x) + free(1.0f, 1.0f) * part_x;
    return upper * (one - part_y) + lower * part_y;
  }

  // Calls body(blocker) for `taps` places of a disc of radii (r_u, r_v) texels, evenly spread (Vogel 1979).
  template <class F>
  FS_HD void over_disc(int taps, T r_u, T r_v, F&& body) const {
    constexpr float kTurnX = -0.73736888f, kTurnY = 0.67549029f;  // by the golden angle
    float x = 1.0f, y = 0.0f;
    for (int i = 0; i < taps; ++i) {
      const float out = sqrt((float(i) + 0.5f) / float(taps));
      body(blocker(u + r_u * T(x * out), v + r_v * T(y * out)));
      const float next = x * kTurnX - y * kTurnY;
      y = x * kTurnY + y * kTurnX;
      x = next;
    }
  }
};

// The part of light `light` that arrives at points with the given normals, in [0, 1]. A function of its own, since it is
// compiled for many instruction sets.
template <class T>
FS_APART T lit_part(const Shadows& shadows, int light, Vec3<T> position, Vec3<T> normal) {
  const T zero(0.0f), one(1.0f);
  const int row = shadows.row(light);
  const float* camera = shadows.cameras + kShadowNumbers * row;
  const float lamp = camera[kShadowLamp];
  if (!(lamp >= 0.0f)) return one;
  const int64_t texels = int64_t(shadows.size) * shadows.size;
  const InShadowMap<T> at(shadows.maps + texels * row, camera, shadows.size, position, normal);
  const auto ahead = at.z > T(1e-6f);
  if (lamp == 0.0f) return select(ahead, at.bilinear(), one);
  // Radii of a disc of the map, in texels, through which the lamp is seen past things `nearer` to it than the point.
  const float side = float(shadows.size);
  const auto seen_through = [&](T nearer, T depth, float focal) {
    return T(lamp * focal * side) * nearer / (at.z * max(depth, T(1e-6f)));
  };
  const T nearest = T(max(camera[kShadowNearest], 1e-6f)), most = T(kMostSearch * side), least = T(kLeastFilter);
  const T ahead_of = max(at.z - nearest, zero);
  T blockers = zero, nearer = zero;
  at.over_disc(kSearchTaps, max(min(seen_through(ahead_of, nearest, at.focal_x), most), least),
               max(min(seen_through(ahead_of, nearest, at.focal_y), most), least), [&](T found) {
                 blockers = blockers + select(found < zero, zero, one);
                 nearer = nearer + max(found, zero);
               });
  const T taps = T(float(kSearchTaps));
  const auto partly = ahead & (blockers > zero) & (blockers < taps);
  T part = select(ahead & (blockers >= taps), zero, one);
  if (!any(partly)) return part;
  nearer = nearer / max(blockers, one);
  T free = zero;
  at.over_disc(kFilterTaps, max(min(seen_through(nearer, at.z - nearer, at.focal_x), most), least),
               max(min(seen_through(nearer, at.z - nearer, at.focal_y), most), least),
               [&](T found) { free = free + select(found < zero, one, zero); });
  return select(partly, free * T(1.0f / float(kFilterTaps)), part);
}

}  // namespace fastsynth
