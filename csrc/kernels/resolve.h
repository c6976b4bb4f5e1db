// From the visibility of a tile to pictures and labels.
#pragma once

#include "draw_view.h"

namespace fastsynth {

// What is the same for all pixels of an image: gains, and the display values of a background that is one colour.
struct Imaging {
  float gain[3];
  bool flat;
  float flat_shown[3];
};
FS_KERNEL Imaging imaging_of(const DrawView& d, int64_t image) {
  const float* c = d.look.background_color + 6 * image;
  const float gain = exp2_of(d.look.exposure[image]);
  Imaging imaging;
  imaging.flat = valid_row(d.look.photo_id[image], d.look.photos.count) < 0;
  for (int i = 0; i < 3; ++i) {
    imaging.gain[i] = d.linear ? 1.0f : gain * d.look.white_balance[3 * image + i];
    imaging.flat = imaging.flat && c[i] == c[3 + i];
    imaging.flat_shown[i] = d.linear ? c[i] : develop(c[i] * imaging.gain[i], d.look.tone);
  }
  return imaging;
}

// Display value in [0, 1] to 0..255.
template <class T>
FS_KERNEL auto byte_of(T shown) {
  return to_int(shown * T(255.0f) + T(0.5f));
}

// Takes linear radiance through exposure and the tone curve and writes it, planar.
template <class Tile>
FS_KERNEL void write_color(const DrawView& d, Tile& tile, typename Tile::Strip& strip, int64_t image, int32_t width,
                           int32_t height, const Position<Tile>& at, const Imaging& imaging,
                           Vec3<typename Tile::Float> c) {
  using Float = typename Tile::Float;
  Float shown[3] = {c.x, c.y, c.z};
  if (!d.linear)
    for (int i = 0; i < 3; ++i) shown[i] = develop(shown[i] * Float(imaging.gain[i]), d.look.tone);
  const int64_t plane = int64_t(width) * height;
  const int64_t first = image * 3 * plane + int64_t(at.top) * width + at.left;
  for (int i = 0; i < 3; ++i) {
    const int number = kRgbPlane + i;
    if (d.rgb_byte) {
      tile.store(strip, number, d.rgb_byte + first + i * plane, width, at.in_x, byte_of(shown[i]), at.inside);
    } else {
      tile.store(strip, number, d.rgb_float + first + i * plane, width, at.in_x, shown[i], at.inside);
    }
  }
}

FS_KERNEL Lights lights_of(const DrawView& d, int64_t image) {
  const LookView& k = d.look;
  const int64_t first = image * k.lights;
  return {k.lights,
          k.light_kind + first,
          k.light_position + 3 * first,
          k.light_direction + 3 * first,
          k.light_color + 3 * first,
          k.light_cone + 2 * first,
          k.ambient + 27 * image,
          uniform_ambient(k.ambient + 27 * image),
          any_local(k.light_kind + first, k.lights)};
}

// The camera's centre in the world.
struct Eye {
  float at[3];
};
FS_KERNEL Eye eye_of(const DrawView& d, int64_t image) {
  const float* m = d.scene.camera_from_world + 16 * image;  // rigid: the inverse is the transpose
  Eye eye;
  for (int c = 0; c < 3; ++c) eye.at[c] = -(m[c] * m[3] + m[4 + c] * m[7] + m[8 + c] * m[11]);
  return eye;
}

// Do ids that were given name a surface that there is?
template <class Int>
FS_KERNEL auto is_surface(const DrawView& d, Int instance, Int face) {
  return (instance >= Int(0)) & (instance < Int(d.scene.instances)) & (face >= Int(0)) &
         (face < Int(d.assets.face_count));
}

template <class Tile>
using TileSeen = Seen<typename Tile::Float, typename Tile::Int>;

// What the lanes see of one instance at samples (x, y). Without `attributes`, normal and uv are left undefined. A
// vertex is read in two halves, so that what lies between them is not kept while the other is used.
template <class Tile>
FS_KERNEL TileSeen<Tile> see(const DrawView& d, const Prepared& p, typename Tile::Int face, typename Tile::Int x,
                             typename Tile::Int y, bool attributes, typename Tile::Mask active) {
  using Float = typename Tile::Float;
  TileSeen<Tile> seen;
  const typename Tile::FaceRows rows(d.assets.faces, face, active);
  if (d.assets.vertex_colors) {
    seen.a = rows.corner(0);
    seen.b = rows.corner(1);
    seen.c = rows.corner(2);
  }
  seen.material = rows.material();
  Float first[3][4];  // x y z, x of the normal
  for (int i = 0; i < 3; ++i) rows.read(d.assets.vertex_data, i, first[i]);
  const auto at = [&](int i) { return Vec3<Float>{first[i][0], first[i][1], first[i][2]}; };
  const float per_x = 2.0f / float(d.width), per_y = 2.0f / float(d.height);
  const Float ndc_x = (to_float(x) + Float(0.5f)) * Float(per_x) - Float(1.0f);
  const Float ndc_y = (to_float(y) + Float(0.5f)) * Float(per_y) - Float(1.0f);
  seen.hit = intersect(p.clip.point(at(0)), p.clip.point(at(1)), p.clip.point(at(2)), ndc_x, ndc_y, per_x, per_y);
  // Nothing before the near plane is drawn, so nothing seen is nearer.
  seen.hit.depth = max(seen.hit.depth, Float(d.scene.near));
  seen.position = weigh(at(0), at(1), at(2), seen.hit);
  if (attributes) {
    Float u[3], v[3], rest[4];
    Vec3<Float> normal[3];
    for (int i = 0; i < 3; ++i) {
      rows.read(d.assets.vertex_data + 4, i, rest);  // y z of the normal, u v
      normal[i] = {first[i][3], rest[0], rest[1]};
      u[i] = rest[2];
      v[i] = rest[3];
    }
    seen.normal = weigh(normal[0], normal[1], normal[2], seen.hit);
    seen.uv = uv_at(u, v, seen.hit);
  }
  return seen;
}

template <class Tile>
FS_KERNEL void blend(Vec3<typename Tile::Float>& into, Vec3<typename Tile::Float> from, typename Tile::Mask where) {
  into = {select(where, from.x, into.x), select(where, from.y, into.y), select(where, from.z, into.z)};
}

// Radiance of the samples' surfaces into `color`.
template <class Tile, class L>
FS_KERNEL void add_surfaces(const DrawView& d, Tile& tile, const L& lights, const Eye& eye, const Prepared& p,
                            int64_t instance, const TileSeen<Tile>& seen, typename Tile::Mask active,
                            Vec3<typename Tile::Float>& color) {
  using Mask = typename Tile::Mask;
  tile.for_unique(seen.material, active, [&](int32_t material, Mask same) {
    blend<Tile>(color, surface_radiance(d.assets, d.look, lights, p, instance, material, seen, eye.at, same), same);
  });
}

template <class Tile>
FS_KERNEL void resolve_pixels(const DrawView& d, Tile& tile, DrawShared<Tile>& shared, const TileFrame& frame,
                              int64_t image) {
  using Float = typename Tile::Float;
  using Int = typename Tile::Int;
  using Mask = typename Tile::Mask;
  const bool color = d.rgb_float || d.rgb_byte;
  const bool surfaces = color || d.depth || d.distance || d.normals || d.object_coordinates || d.uv;
  const bool attributes = color || d.normals || d.uv;
  const Lights lights = color ? lights_of(d, image) : Lights{};
  const Imaging imaging = color ? imaging_of(d, image) : Imaging{};
  const Eye eye = eye_of(d, image);
  const int64_t plane = int64_t(d.width) * d.height;
  const auto background = [&](int32_t in_x, int32_t in_y, int32_t w, int32_t h) {
    const int64_t first = int64_t(frame.top + in_y) * d.width + frame.left + in_x;
    const auto fill = [&](int number, auto* to, int channels, int c, auto value) {
      if (to)
        tile.fill(shared.strip, number + c, to + first + (image * channels + c) * plane, d.width, in_x, w, h, value);
    };
    for (int c = 0; c < 3; ++c) {
      fill(kRgbPlane, d.rgb_byte, 3, c, uint8_t(byte_of(imaging.flat_shown[c])));
      fill(kRgbPlane, d.rgb_float, 3, c, imaging.flat_shown[c]);
      fill(kNormalPlane, d.normals, 3, c, 0.0f);
      fill(kObjectPlane, d.object_coordinates, 3, c, 0.0f);
    }
    fill(kInstancePlane, d.instance_id, 1, 0, int32_t(-1));
    fill(kTrianglePlane, d.triangle_id, 1, 0, int32_t(-1));
    fill(kSemanticPlane, d.semantic_id, 1, 0, int32_t(-1));
    fill(kDepthPlane, d.depth, 1, 0, 0.0f);
    fill(kDistancePlane, d.distance, 1, 0, 0.0f);
    for (int c = 0; c < 2; ++c) fill(kUvPlane, d.uv, 2, c, 0.0f);
  };
  const auto is_background = [&](Int pixel) {
    return (!color || imaging.flat) && !any(shared.raster.visibility.id(pixel) >= Int(0));
  };
  const auto block = [&](Int pixel, int32_t in_x, int32_t in_y) {
    const Position<Tile> at(frame, in_x, in_y);
    const Int number = shared.raster.visibility.id(pixel);
    const Mask hit = at.inside & (number >= Int(0));
    const Int slot = select(hit, number >> d.face_bits, Int(-1));

    Vec3<Float> radiance;
    if (color && !all(hit))
      radiance = background_radiance(d.look, image, to_float(at.x), to_float(at.y), float(d.width), float(d.height),
                                     at.inside);
    Float depth(0.0f), distance(0.0f);
    Int triangle(-1), semantic(-1);
    // What is captured below lies in memory, so it is cleared only where it is asked for.
    const Vec3<Float> none{depth, depth, depth};
    Vec3<Float> normal, object, uv;
    if (d.normals) normal = none;
    if (d.object_coordinates) object = none;
    if (d.uv) uv = none;
    tile.for_unique(slot, hit, [&](int32_t n, Mask same) {
      const int64_t instance = image * d.scene.instances + n;
      const Prepared& p = d.prepared[instance];
      if (d.seen) {
        const auto e = extent(same);
        if (n < kCountedShared) {
          int32_t* s = shared.seen[n];
          tile.least(s, at.left + e.min_x);
          tile.least(s + 1, at.top + e.min_y);
          tile.most(s + 2, at.left + e.max_x);
          tile.most(s + 3, at.top + e.max_y);
          tile.add(s + 4, count(same));
        } else {
          include_seen(d.seen + 5 * instance, at.left + e.min_x, at.top + e.min_y, at.left + e.max_x, at.top + e.max_y,
                       count(same));
        }
      }
      const Int face = (number & Int((1 << d.face_bits) - 1)) + Int(p.first_face);
      if (d.triangle_id) triangle = select(same, face, triangle);
      if (d.semantic_id) semantic = select(same, Int(d.mesh_class[d.scene.mesh_id[instance]]), semantic);
      if (!surfaces) return;
      const TileSeen<Tile> seen = see<Tile>(d, p, face, at.x, at.y, attributes, same);
      if (color) add_surfaces(d, tile, lights, eye, p, instance, seen, same, radiance);
      if (d.depth) depth = select(same, seen.hit.depth, depth);
      if (d.object_coordinates) blend<Tile>(object, seen.position, same);
      if (d.distance) {
        const Vec3<Float> from_eye = p.world.point(seen.position) - spread<Float>(eye.at);
        distance = select(same, sqrt(dot(from_eye, from_eye)), distance);
      }
      if (d.uv) { blend<Tile>(uv, {seen.uv.u, seen.uv.v, Float(0.0f)}, same); }
      if (d.normals) {
        blend<Tile>(normal, load_affine(d.scene.camera_from_world + 16 * image).direction(seen_normal(p, seen)), same);
      }
    });
    if (color) write_color(d, tile, shared.strip, image, d.width, d.height, at, imaging, radiance);
    const int64_t first = int64_t(at.top) * d.width + at.left;
    const auto store = [&](int number, auto* to, int channels, int c, auto value) {
      if (to)
        tile.store(shared.strip, number + c, to + first + (image * channels + c) * plane, d.width, in_x, value,
                   at.inside);
    };
    const auto store_3 = [&](int number, float* to, Vec3<Float> v) {
      store(number, to, 3, 0, v.x);
      store(number, to, 3, 1, v.y);
      store(number, to, 3, 2, v.z);
    };
    store(kInstancePlane, d.instance_id, 1, 0, slot);
    store(kTrianglePlane, d.triangle_id, 1, 0, triangle);
    store(kSemanticPlane, d.semantic_id, 1, 0, semantic);
    store(kDepthPlane, d.depth, 1, 0, depth);
    store(kDistancePlane, d.distance, 1, 0, distance);
    store_3(kNormalPlane, d.normals, normal);
    store_3(kObjectPlane, d.object_coordinates, object);
    store(kUvPlane, d.uv, 2, 0, uv.x);
    store(kUvPlane, d.uv, 2, 1, uv.y);
  };
  tile.for_blocks(shared.strip, Tile::kSide, d.width - frame.left, d.height - frame.top, is_background, background,
                  block);
}

// Colour at `grid` x `grid` samples a pixel, averaged in linear light.
template <class Tile>
FS_KERNEL void resolve_grid(const DrawView& d, Tile& tile, DrawShared<Tile>& shared, const TileFrame& frame,
                            int64_t image) {
  using Float = typename Tile::Float;
  using Int = typename Tile::Int;
  using Mask = typename Tile::Mask;
  const Lights lights = lights_of(d, image);
  const Imaging imaging = imaging_of(d, image);
  const Eye eye = eye_of(d, image);
  const int32_t side = Tile::kSide / d.grid;  // pixels; a multiple of the block's
  const int32_t width = d.width / d.grid, height = d.height / d.grid;
  const TileFrame pixels{frame.left / d.grid, frame.top / d.grid, width, height};
  const auto never = [](Int) { return false; };
  const auto nothing = [](int32_t, int32_t, int32_t, int32_t) {};
  const auto block = [&](Int, int32_t in_x, int32_t in_y) {
    const Position<Tile> at(pixels, in_x, in_y);
    Vec3<Float> sum{Float(0.0f), Float(0.0f), Float(0.0f)};
    for (int32_t s = 0; s < d.grid * d.grid; ++s) {
      const Int sample_x = multiply(at.x - Int(pixels.left), Int(d.grid)) + Int(s % d.grid),
                sample_y = multiply(at.y - Int(pixels.top), Int(d.grid)) + Int(s / d.grid);
      const Int x = sample_x + Int(frame.left), y = sample_y + Int(frame.top);
      const Int number = shared.raster.visibility.id_at(sample_number<Tile>(sample_x, sample_y), at.inside);
      const Mask hit = at.inside & (number >= Int(0));
      Vec3<Float> radiance;
      if (!all(hit))
        radiance =
            background_radiance(d.look, image, to_float(x), to_float(y), float(d.width), float(d.height), at.inside);
      const Int slot = select(hit, number >> d.face_bits, Int(-1));
      tile.for_unique(slot, hit, [&](int32_t n, Mask same) {
        const int64_t instance = image * d.scene.instances + n;
        const Prepared& p = d.prepared[instance];
        const Int face = (number & Int((1 << d.face_bits) - 1)) + Int(p.first_face);
        add_surfaces(d, tile, lights, eye, p, instance, see<Tile>(d, p, face, x, y, true, same), same, radiance);
      });
      sum = sum + radiance;
    }
    write_color(d, tile, shared.strip, image, width, height, at, imaging, sum * Float(1.0f / float(d.grid * d.grid)));
  };
  tile.for_blocks(shared.strip, side, width - pixels.left, height - pixels.top, never, nothing, block);
}

template <class Tile>
FS_KERNEL void resolve(const DrawView& d, Tile& tile, DrawShared<Tile>& shared, const TileFrame& frame, int64_t image) {
  if (d.grid == 1) {
    resolve_pixels(d, tile, shared, frame, image);
  } else {
    resolve_grid(d, tile, shared, frame, image);
  }
}

}  // namespace fastsynth
