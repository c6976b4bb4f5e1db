// Deformed copies of vertices: up to four steps for each instance, applied in turn.
//
// A copy's vertex is its position, unit normal and texture coordinates, as in `vertex_data`. Normals are turned by the
// cofactors of each step's derivative and brought to unit length at the end.
#pragma once

#include "../core/vec.h"
#include "sums.h"

namespace fastsynth {

enum DeformKind { kDeformEnd, kDeformBernstein, kDeformTrilinear, kDeformTwist, kDeformDent };
constexpr int kDeformSteps = 4;

struct DeformStep {
  int32_t kind;
  int32_t size[3];  // control points along x, y, z
  int32_t at;       // of the step's numbers in an instance's
};

// The numbers of a step.
FS_HD int32_t deform_numbers(const DeformStep& s) {
  return s.kind <= kDeformTrilinear ? 6 + 3 * s.size[0] * s.size[1] * s.size[2] : 7;
}

template <class Float>
struct Bent {
  Vec3<Float> point, normal;
};

struct DeformVertices : ItemKernel<1024> {
  const float* vertex_data;  // [V, 8]
  const int32_t* first;      // [I], row_stride apart: rows of vertex_data where the instances' vertices begin
  const int32_t* count;      // [I], row_stride apart: how many there are; copies beyond are zeros
  int32_t row_stride;
  const float* numbers;  // [I, S]
  DeformStep steps[kDeformSteps];
  int64_t instances;
  int32_t vertices, capacity, each;  // V, copies of an instance, S
  int32_t before;                    // rows of vertex_data that are copied in front: 0 or V
  float* out;                        // [before + I * capacity, 8]
  float* places;                     // [I, capacity, 3] positions again, or null

  FS_HD int64_t parts() const { return tiles_for(capacity); }
  FS_HD int64_t tiles() const { return tiles_for(before) + instances * parts(); }

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>&) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    if (tile.index < tiles_for(before)) {
      const int64_t from = 8 * tile.index * kItems;
      tile.for_each(int32_t(min(8 * int64_t(before) - from, int64_t(8 * kItems))),
                    [&](Int i, Mask active) { scatter(out + from, i, gather(vertex_data + from, i, active), active); });
      return;
    }
    const int64_t number = tile.index - tiles_for(before), instance = number / parts();
    const int32_t begin = int32_t(number % parts()) * kItems;
    const int32_t base = first[instance * row_stride], own_count = vertices ? max(count[instance * row_stride], 0) : 0;
    const float* own = numbers + instance * each;
    float* to = out + 8 * (before + instance * capacity + begin);
    float* place = places ? places + 3 * (instance * capacity + begin) : nullptr;
    const int32_t items = min(capacity - begin, int32_t(kItems)), used = max(min(own_count - begin, items), 0);
    tile.for_each(8 * (items - used), [&](Int i, Mask active) { scatter(to + 8 * used, i, Float(0.0f), active); });
    if (place)
      tile.for_each(3 * (items - used), [&](Int i, Mask active) { scatter(place + 3 * used, i, Float(0.0f), active); });
    tile.for_each(used, [&](Int i, Mask active) {
      // Only vertices that are there are read, whatever the rows say.
      const Int row = max(min(i + Int(base + begin), Int(vertices - 1)), Int(0));
      Float v[8];
      gather_row<8, 3>(vertex_data, row, active, v);
      Bent<Float> b{{v[0], v[1], v[2]}, {v[3], v[4], v[5]}};
      for (int s = 0; s < kDeformSteps; ++s) {
        const DeformStep& step = steps[s];
        const float* n = own + step.at;
        if (step.kind == kDeformBernstein) b = bernstein(b, step, n);
        if (step.kind == kDeformTrilinear) b = trilinear<Int>(b, step, n, active);
        if (step.kind == kDeformTwist) b = twist<Int>(b, n);
        if (step.kind == kDeformDent) b = dent(b, n);
      }
      b.normal = normalize(b.normal);
      const Float all[8] = {b.point.x, b.point.y, b.point.z, b.normal.x, b.normal.y, b.normal.z, v[6], v[7]};
      for (int c = 0; c < 8; ++c) scatter(to + c, i << 3, all[c], active);
      if (place)
        for (int c = 0; c < 3; ++c) scatter(place + c, i + i + i, all[c], active);
    });
  }

 private:
  // Place in the box, in [0, 1], and its derivative by the point's coordinate.
  template <class Float>
  static FS_KERNEL Float place(Float x, float low, float inverse, Float& slope) {
    const Float raw = (x - Float(low)) * Float(inverse);
    slope = select((raw >= Float(0.0f)) & (raw <= Float(1.0f)), Float(inverse), Float(0.0f));
    return min(max(raw, Float(0.0f)), Float(1.0f));
  }
  // The map is x -> x + d(x), whose derivatives along x, y and z are the unit vectors and `along`.
  template <class Float>
  static FS_KERNEL Bent<Float> moved(Bent<Float> b, Vec3<Float> by, Vec3<Float> (&along)[3]) {
    along[0].x = along[0].x + Float(1.0f);
    along[1].y = along[1].y + Float(1.0f);
    along[2].z = along[2].z + Float(1.0f);
    const Vec3<Float> n = b.normal;
    return {b.point + by,
            cross(along[1], along[2]) * n.x + cross(along[2], along[0]) * n.y + cross(along[0], along[1]) * n.z};
  }

  // Numbers: lower corner, inverse sides, then the offsets as coefficients of powers, [size 0, 1, 2, 3]: Horner's rule,
  // and for the derivatives Horner's of Horner's.
  template <class Float>
  static FS_KERNEL Bent<Float> bernstein(Bent<Float> b, const DeformStep& step, const float* n) {
    Float sx, sy, sz;
    const Float x = place(b.point.x, n[0], n[3], sx), y = place(b.point.y, n[1], n[4], sy),
                z = place(b.point.z, n[2], n[5], sz);
    const Float o(0.0f);
    const Vec3<Float> none{o, o, o};
    Vec3<Float> whole = none, by_x = none, by_y = none, by_z = none;
    for (int32_t i = step.size[0] - 1; i >= 0; --i) {
      Vec3<Float> plane = none, plane_y = none, plane_z = none;
      for (int32_t j = step.size[1] - 1; j >= 0; --j) {
        Vec3<Float> line = none, line_z = none;
        const float* c = n + 6 + 3 * ((i * step.size[1] + j) * step.size[2]);
        for (int32_t k = step.size[2] - 1; k >= 0; --k) {
          line_z = line_z * z + line;
          line = line * z + spread<Float>(c + 3 * k);
        }
        plane_y = plane_y * y + plane;
        plane = plane * y + line;
        plane_z = plane_z * y + line_z;
      }
      by_x = by_x * x + whole;
      whole = whole * x + plane;
      by_y = by_y * x + plane_y;
      by_z = by_z * x + plane_z;
    }
    Vec3<Float> along[3] = {by_x * sx, by_y * sy, by_z * sz};
    return moved(b, whole, along);
  }

  // Numbers: lower corner, inverse sides, then the offsets [size 0, 1, 2, 3].
  template <class Int, class Float, class Mask>
  static FS_KERNEL Bent<Float> trilinear(Bent<Float> b, const DeformStep& step, const float* n, Mask active) {
    const Float at[3] = {b.point.x, b.point.y, b.point.z};
    Int cell[3];
    Float part[3], slope[3];
    for (int axis = 0; axis < 3; ++axis) {
      const int32_t cells = step.size[axis] - 1;
      const Float s = place(at[axis], n[axis], n[3 + axis], slope[axis]) * Float(float(cells));
      cell[axis] = max(min(floor_int(s), Int(cells - 1)), Int(0));
      part[axis] = s - to_float(cell[axis]);
      slope[axis] = slope[axis] * Float(float(cells));
    }
    const Int from = multiply(multiply(cell[0], Int(step.size[1])) + cell[1], Int(step.size[2])) + cell[2];
    Vec3<Float> corner[8];
    for (int bits = 0; bits < 8; ++bits) {
      const Int node = from + Int((((bits >> 2 & 1) * step.size[1]) + (bits >> 1 & 1)) * step.size[2] + (bits & 1));
      const Int row = node + node + node;
      corner[bits] = {gather(n + 6, row, active), gather(n + 7, row, active), gather(n + 8, row, active)};
    }
    Vec3<Float> line[4], line_z[4];
    for (int k = 0; k < 4; ++k) {
      line_z[k] = corner[2 * k + 1] - corner[2 * k];
      line[k] = corner[2 * k] + line_z[k] * part[2];
    }
    Vec3<Float> plane[2], plane_y[2], plane_z[2];
    for (int k = 0; k < 2; ++k) {
      plane_y[k] = line[2 * k + 1] - line[2 * k];
      plane[k] = line[2 * k] + plane_y[k] * part[1];
      plane_z[k] = line_z[2 * k] + (line_z[2 * k + 1] - line_z[2 * k]) * part[1];
    }
    Vec3<Float> along[3] = {(plane[1] - plane[0]) * slope[0],
                            (plane_y[0] + (plane_y[1] - plane_y[0]) * part[0]) * slope[1],
                            (plane_z[0] + (plane_z[1] - plane_z[0]) * part[0]) * slope[2]};
    return moved(b, plane[0] + (plane[1] - plane[0]) * part[0], along);
  }

  // Numbers: unit axis, a point of it, angle for a metre. See fastsynth/deform/bend.py.
  template <class Int, class Float>
  static FS_KERNEL Bent<Float> twist(Bent<Float> b, const float* n) {
    const Vec3<Float> axis = spread<Float>(n), centre = spread<Float>(n + 3), offset = b.point - centre;
    const Float rate(n[6]);
    Float sine, cosine;
    sine_and_cosine<Int>(rate * dot(offset, axis), sine, cosine);
    const Float lean = dot(cross(axis, offset) * rate, b.normal);
    return {turned(offset, axis, sine, cosine) + centre, turned(b.normal - axis * lean, axis, sine, cosine)};
  }
  template <class Float>
  static FS_KERNEL Vec3<Float> turned(Vec3<Float> v, Vec3<Float> axis, Float sine, Float cosine) {
    return v * cosine + cross(axis, v) * sine + axis * (dot(v, axis) * (Float(1.0f) - cosine));
  }
  // Quarter turns off (pi / 2 in three parts, Cody and Waite 1980), then the polynomials of Moshier's Cephes for
  // |x| <= pi / 4. Good to a few last places up to about 8000 rad.
  template <class Int, class Float>
  static FS_KERNEL void sine_and_cosine(Float x, Float& sine, Float& cosine) {
    const Float bounded = min(max(x, Float(-8192.0f)), Float(8192.0f));
    const Int turns = floor_int(bounded * Float(0.636619772f) + Float(0.5f));
    const Float whole = to_float(turns);
    const Float r = bounded - whole * Float(1.5703125f) - whole * Float(4.837512969970703125e-4f) -
                    whole * Float(7.549789948768648e-8f);
    const Float q = r * r;
    const Float s =
        ((Float(-1.9515295891e-4f) * q + Float(8.3321608736e-3f)) * q - Float(1.6666654611e-1f)) * q * r + r;
    const Float c =
        ((Float(2.443315711809948e-5f) * q - Float(1.388731625493765e-3f)) * q + Float(4.166664568298827e-2f)) * q * q -
        q * Float(0.5f) + Float(1.0f);
    const auto odd = (turns & Int(1)) == Int(1);
    const Float a = select(odd, c, s), d = select(odd, s, c);
    sine = select((turns & Int(2)) == Int(2), -a, a);
    cosine = select(((turns + Int(1)) & Int(2)) == Int(2), -d, d);
  }

  // Numbers: centre, push, inverse radius. See fastsynth/deform/bend.py.
  template <class Float>
  static FS_KERNEL Bent<Float> dent(Bent<Float> b, const float* n) {
    const Vec3<Float> offset = b.point - spread<Float>(n), push = spread<Float>(n + 3);
    const Float scale(n[6]), left = max(Float(1.0f) - dot(offset, offset) * (scale * scale), Float(0.0f));
    const Vec3<Float> slope = offset * (Float(-6.0f) * scale * scale * left * left);
    return {b.point + push * (left * left * left),
            b.normal * (Float(1.0f) + dot(push, slope)) - slope * dot(push, b.normal)};
  }
};

// Faces, and behind them copies of runs of them whose corners are moved to other vertices.
struct CopyFaces : ItemKernel<2048> {
  const int32_t* faces;  // [F, 4]
  const int32_t* rows;   // [I, 4] first vertex and vertex count, first face and face count, of what is copied
  int64_t instances;
  int32_t face_count, capacity;  // F, copies of an instance; those beyond its count are zeros
  int32_t first_copy, vertices;  // row of the first instance's first vertex, and how many each instance has
  int32_t* out;                  // [F + I * capacity, 4]

  FS_HD int64_t parts() const { return tiles_for(capacity); }
  FS_HD int64_t tiles() const { return tiles_for(face_count) + instances * parts(); }
  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>&) const {
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    if (tile.index < tiles_for(face_count)) {
      const int64_t from = 4 * tile.index * kItems;
      tile.for_each(int32_t(min(4 * int64_t(face_count) - from, int64_t(4 * kItems))),
                    [&](Int i, Mask active) { scatter(out + from, i, gather(faces + from, i, active), active); });
      return;
    }
    const int64_t number = tile.index - tiles_for(face_count), instance = number / parts();
    const int32_t begin = int32_t(number % parts()) * kItems;
    const int32_t* row = rows + 4 * instance;
    const int32_t shift = first_copy + int32_t(instance) * vertices - row[0];
    // Only faces that are there are read, whatever the rows say.
    const int32_t first = max(row[2], 0), count = min(row[3], face_count - first);
    int32_t* to = out + 4 * (face_count + instance * capacity + begin);
    const int32_t items = min(capacity - begin, int32_t(kItems)), used = max(min(count - begin, items), 0);
    tile.for_each(4 * (items - used), [&](Int i, Mask active) { scatter(to + 4 * used, i, Int(0), active); });
    tile.for_each(used, [&](Int i, Mask active) {
      Int face[4];
      gather_row<4, 2>(faces, i + Int(begin + first), active, face);
      for (int c = 0; c < 4; ++c) scatter(to + c, i << 2, c < 3 ? face[c] + Int(shift) : face[c], active);
    });
  }
};

// The box of each instance's points; of none, a point at the origin.
struct BoundPlaces {
  template <class Tile>
  struct Shared {
    int32_t extent[6];  // ordered bits of min x, y, z and max x, y, z
  };
  template <class Tile>
  static constexpr int lanes() {
    return 256;
  }
  const float* places;   // [I, P, 3]
  const int32_t* count;  // [I], row_stride apart: points that count
  int32_t row_stride;
  int64_t instances;
  int32_t capacity;  // P, at least 1
  float* box;        // [I, 6]

  FS_HD int64_t tiles() const { return instances; }
  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>& shared) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const float* p = places + 3 * tile.index * capacity;
    tile.for_one(6, [&](int32_t i) { shared.extent[i] = i < 3 ? 0x7fffffff : -0x7fffffff - 1; });
    tile.sync();
    // Each lane's own first; lanes without a point have the first one's.
    Float low[3], high[3];
    for (int c = 0; c < 3; ++c) low[c] = high[c] = Float(p[c]);
    tile.for_each(min(count[tile.index * row_stride], capacity), [&](Int i, Mask active) {
      for (int c = 0; c < 3; ++c) {
        const Float x = select(active, gather(p + c, i + i + i, active), low[c]);
        low[c] = min(low[c], x);
        high[c] = max(high[c], x);
      }
    });
    for (int c = 0; c < 3; ++c) {
      tile.least(&shared.extent[c], min_over(ordered(low[c]), Mask(true)));
      tile.most(&shared.extent[3 + c], max_over(ordered(high[c]), Mask(true)));
    }
    tile.sync();
    float* to = box + 6 * tile.index;
    tile.for_one(6, [&](int32_t i) { to[i] = from_ordered(shared.extent[i]); });
  }
};

}  // namespace fastsynth
