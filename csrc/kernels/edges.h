// What the visible edges of surfaces do to a picture that is sampled at pixel centres.
//
// Between a pixel p and its neighbour q that shows another surface lies an edge. Where it lies between them is not
// known, and all places are as likely; if it moves by s pixels towards q, then in the mean one of the two changes from
// what q shows to what p shows in a part s of all cases. So the gradient of s is half the sum of both pixels' gradients
// times the difference of their colours. The picture and the labels stay as they are. Which surface the edge belongs to
// follows from the planes of both faces, prolonged:
//  - p's plane lies in front of what q shows: p's surface ends here, and its edge moves with it;
//  - q's plane lies in front of what p shows: the edge is q's, whose own pixels see to it;
//  - neither: the planes cut through each other. The cut moves with either of them, by the difference of their slopes.
//    Where they are nearly parallel it would move without bound, and is held.
// Of two layers (layers.h) the higher one's surface ends, wherever the planes lie.
// After Pidhorskyi et al., "Rasterized Edge Gradients: Handling Discontinuities Differentiably", 2024.
#pragma once

#include "../core/light_backward.h"
#include "resolve.h"

namespace fastsynth {

// The plane of a face in clip space (x, y, w), and the ray of a pixel in it. Depth's inverse is linear in the picture.
template <class T>
struct FacePlane {
  Vec3<T> unit;               // times any point of the plane: 1
  Vec3<T> corner[2];          // times the corners: 1 for corner 1 (or 2), 0 for the others
  T inverse;                  // of the depth at the pixel
  T slope_x, slope_y;         // its change per pixel
  decltype(T() < T()) sound;  // not seen edge-on

  FacePlane() = default;
  FS_KERNEL FacePlane(const Vec3<T> (&clip)[3], T ndc_x, T ndc_y, float per_x, float per_y) {
    const Vec3<T> e1 = clip[1] - clip[0], e2 = clip[2] - clip[0], normal = cross(e2, e1);
    const T height = dot(normal, clip[0]);
    sound = abs(height) > T(1e-18f);
    const T scale = T(1.0f) / select(sound, height, T(1.0f));
    unit = normal * scale;
    // Edges in place of corners: what is small is not the difference of large products.
    corner[0] = cross(clip[0], e2) * scale;
    corner[1] = cross(e1, clip[0]) * scale;
    inverse = unit.x * ndc_x + unit.y * ndc_y + unit.z;
    slope_x = unit.x * T(per_x);
    slope_y = unit.y * T(per_y);
  }
};

// Pictures of an image [H, W], read at a block's samples or beside them.
template <class Tile>
struct Picture {
  using Float = typename Tile::Float;
  using Int = typename Tile::Int;
  using Mask = typename Tile::Mask;
  const DrawView& d;
  int64_t image, pixels;
  Int x, y, at;
  Mask inside;
  bool whole;  // are all of the block's pixels and of those beside it in the picture?

  FS_KERNEL Picture(const DrawView& view, int64_t image_, int32_t left, int32_t top)
      : d(view), image(image_), pixels(int64_t(view.width) * view.height) {
    x = block_x(Int()) + Int(left);
    y = block_y(Int()) + Int(top);
    at = multiply(y, Int(d.width)) + x;
    inside = (x < Int(d.width)) & (y < Int(d.height));
    whole = left > 0 && top > 0 && left + Tile::kBlock < d.width && top + Tile::kBlock < d.height;
  }
  FS_KERNEL Float ndc_x(int dx = 0) const {
    return (to_float(x) + Float(0.5f + float(dx))) * Float(2.0f / float(d.width)) - Float(1.0f);
  }
  FS_KERNEL Float ndc_y(int dy = 0) const {
    return (to_float(y) + Float(0.5f + float(dy))) * Float(2.0f / float(d.height)) - Float(1.0f);
  }
  // Ids that name no surface are background: they can be anybody's.
  FS_KERNEL Int known(Int instance, Int face) const {
    return select(is_surface(d, instance, face), instance, min(instance, Int(-1)));
  }
  FS_KERNEL Int instance(Mask active) const {
    return read_block(d.instance_id + image * pixels, at, d.width, whole, active);
  }
  FS_KERNEL Int triangle(Mask active) const {
    return read_block(d.triangle_id + image * pixels, at, d.width, whole, active);
  }
  FS_KERNEL Vec3<Float> color(const float* of, int dx, int dy, Mask active) const {
    const float* first = of + 3 * image * pixels;
    const Int place = at + Int(dy * d.width + dx);
    return {read_block(first, place, d.width, whole, active), read_block(first + pixels, place, d.width, whole, active),
            read_block(first + 2 * pixels, place, d.width, whole, active)};
  }
};

constexpr float kEdgeClamp = 8.0f;  // [pixels] that a cut may move at most when a face moves by a pixel's breadth
constexpr float kSoftCrease = 0.06f, kSharpCrease = 0.15f;  // 1 - cosine: from where a crease counts, and in full
constexpr int kSides = 4;                                   // x + 1, x - 1, y + 1, y - 1

// What the pixels show of an instance, and those beside them.
template <class Tile>
struct Surroundings {
  using Int = typename Tile::Int;
  using Mask = typename Tile::Mask;
  static constexpr int kSets = Tile::kAroundSets;
  Int instance[kSets], face[kSets], corner[3][kSets];  // instance -2: no pixel

  // `own`, `own_face`, `rows`: of the pixels themselves. Corners are read of instance n alone.
  FS_KERNEL Surroundings(const Picture<Tile>& picture, int32_t n, Int own, Int own_face,
                         const typename Tile::FaceRows& rows) {
    const DrawView& d = picture.d;
    const int64_t first = picture.image * picture.pixels;
    instance[0] = own;
    face[0] = own_face;
    const Int left = picture.x - block_x(Int()), top = picture.y - block_y(Int());
    for (int i = 0; i < 3; ++i) corner[i][0] = rows.corner(i);
    for (int set = 1; set < kSets; ++set) {
      const Int x = left + around_x(Int(), set), y = top + around_y(Int(), set);
      const Mask inside = (x >= Int(0)) & (x < Int(d.width)) & (y >= Int(0)) & (y < Int(d.height));
      const Int at = multiply(y, Int(d.width)) + x;
      face[set] = gather(d.triangle_id + first, at, inside);
      instance[set] = select(inside, picture.known(gather(d.instance_id + first, at, inside), face[set]), Int(-2));
      Int row[4];
      gather_row<4, 2>(d.assets.faces, face[set], instance[set] == Int(n), row);
      for (int i = 0; i < 3; ++i) corner[i][set] = row[i];
    }
  }
  // Pixels of instance n whose face shares a corner with that of the pixel beside.
  FS_KERNEL Mask joined(int side) const {
    Mask any_shared(false);
    for (int j = 0; j < 3; ++j) {
      const Int there = beside(corner[j], side);
      for (int i = 0; i < 3; ++i) any_shared = any_shared | (corner[i][0] == there);
    }
    return any_shared;
  }
};

// The corners and the plane of a face that is seen beside a pixel.
template <class Tile>
struct FaceBeside {
  using Float = typename Tile::Float;
  Vec3<Float> p[3];
  FacePlane<Float> plane;

  FS_KERNEL FaceBeside(const DrawView& d, const Prepared& prepared, const typename Tile::FaceRows& rows, Float ndc_x,
                       Float ndc_y, float per_x, float per_y) {
    Vec3<Float> clip[3];
    for (int i = 0; i < 3; ++i) {
      Float first[4];
      rows.read(d.assets.vertex_data, i, first);
      p[i] = {first[0], first[1], first[2]};
      clip[i] = prepared.clip.point(p[i]);
    }
    plane = FacePlane<Float>(clip, ndc_x, ndc_y, per_x, per_y);
  }
};

// Gradient of the material points in clip space, by the edges that the lanes' pixels have. `same`: lanes of instance n;
// `own`, `face`: what all pixels show; `g`: gradient of the picture.
template <class Tile, class Met>
FS_APART Vec3<typename Tile::Float> edges(Tile& tile, const DrawView& d, const float* rgb, const float* grad,
                                          int64_t image, int32_t n, const Picture<Tile>& picture, const Met& met,
                                          typename Tile::Int own, typename Tile::Int face, Vec3<typename Tile::Float> g,
                                          typename Tile::Mask same) {
  using Float = typename Tile::Float;
  using Int = typename Tile::Int;
  using Mask = typename Tile::Mask;
  const float per_x = 2.0f / float(d.width), per_y = 2.0f / float(d.height);
  const Float zero(0.0f);
  const Surroundings<Tile> around(picture, n, own, face, met.rows);
  Vec3<Float> moved = zero_vector<Float>(), shown = moved;
  bool read = false;  // is `shown`? Most blocks of a fine mesh have no edge.
  for (int side = 0; side < kSides; ++side) {
    const int dx = side == 0 ? 1 : side == 1 ? -1 : 0, dy = side == 2 ? 1 : side == 3 ? -1 : 0;
    const Int other = beside(around.instance, side), other_face = beside(around.face, side);
    // Faces that share a corner go on into each other, and so does what they show.
    const Mask goes_on = (other == Int(n)) & ((other_face == face) | around.joined(side));
    const Mask apart_here = same & (other != Int(-2)) & mask_not(goes_on);
    if (!any(apart_here)) continue;
    const Float slope = met.plane.slope_x * Float(float(dx)) + met.plane.slope_y * Float(float(dy));
    const Float prolonged = met.plane.inverse + slope;
    Mask ends = apart_here & (other < Int(0));
    if (!read) shown = picture.color(rgb, 0, 0, same);
    read = true;
    const Vec3<Float> step = shown - picture.color(rgb, dx, dy, apart_here);
    const Float pull = Float(0.5f) * dot(g + picture.color(grad, dx, dy, apart_here), step);
    tile.for_unique(other, apart_here & (other >= Int(0)), [&](int32_t m, Mask lanes) {
      const typename Tile::FaceRows rows(d.assets.faces, other_face, lanes);
      const Prepared& p_there = d.prepared[image * d.scene.instances + m];
      const float front = d.prepared[image * d.scene.instances + n].front;
      if (front != p_there.front) {
        ends = ends | (lanes & Mask(front > p_there.front));
        return;
      }
      const FaceBeside<Tile> there(d, p_there, rows, picture.ndc_x(dx), picture.ndc_y(dy), per_x, per_y);
      const Float there_slope = there.plane.slope_x * Float(float(dx)) + there.plane.slope_y * Float(float(dy));
      const Float breadth = met.breadth;
      Float margin = zero;
      Float share(1.0f);
      if (m == n) {
        margin = Float(3.0f) * (breadth + abs(slope));
        const Vec3<Float> a = cross(met.p[1] - met.p[0], met.p[2] - met.p[0]),
                          b = cross(there.p[1] - there.p[0], there.p[2] - there.p[0]);
        const Float lengths = sqrt(dot(a, a) * dot(b, b));
        const Float cosine = dot(a, b) / select(lengths > zero, lengths, Float(1.0f));
        share = min(max((Float(1.0f - kSoftCrease) - cosine) * Float(1.0f / (kSharpCrease - kSoftCrease)), zero),
                    Float(1.0f));
      }
      const Mask in_front = lanes & (prolonged > there.plane.inverse + margin);
      ends = ends | in_front;
      const Mask behind_here = there.plane.inverse - there_slope <= met.plane.inverse + margin;
      const Mask cut = lanes & mask_not(in_front) & behind_here & met.plane.sound & there.plane.sound & (share > zero);
      if (!any(cut)) return;
      // Along its own normal the cut moves by 1 / |apart|; of that, pairs in x and pairs in y each see their part.
      const Float apart_x = there.plane.slope_x - met.plane.slope_x, apart_y = there.plane.slope_y - met.plane.slope_y;
      const Float least = breadth * Float(1.0f / kEdgeClamp);
      const Float apart = max(apart_x * apart_x + apart_y * apart_y, least * least);
      // Where surfaces cut through each other the nearer is seen. At a ridge of one body it is the farther of its planes.
      const Float steeper = there_slope - slope;
      const Float across = (m == n ? steeper : max(steeper, zero)) / apart;
      const Float nearer = select(cut, share * pull * across * (zero - met.plane.inverse), zero);
      moved = moved + met.plane.unit * nearer;
    });
    if (!any(ends)) continue;
    const Float along = select(ends, pull * Float(float(dx + dy)) * met.plane.inverse, zero);
    if (dx != 0) {
      const Float half = along * Float(0.5f * float(d.width));
      moved = {moved.x + half, moved.y, moved.z - half * picture.ndc_x()};
    } else {
      const Float half = along * Float(0.5f * float(d.height));
      moved = {moved.x, moved.y + half, moved.z - half * picture.ndc_y()};
    }
  }
  return moved;
}

}  // namespace fastsynth
