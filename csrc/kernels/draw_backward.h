// Gradients of the fused drawing kernel: from those of the picture to those of every instance's matrices and look, of
// lights, background and exposure, and of the texels.
//
// A tile is one instance of one image, or an image's background. Its lanes go over the pixels that show it and add up a
// row of numbers (core/adjoint.h), so that nothing is scattered but texels, and no order of lanes or threads changes a
// bit.
//
// A pixel shows the material point where its ray meets a face. Everything that moves the face moves that point P in
// clip space, so all that a pixel says of geometry is one gradient of P; with P = clip * point, the gradient of the
// matrix is its product with the point. Two things make it:
//  - what the surface looks like at the pixel: weights w_k of the corners v_k change by -b_k . dP + (b_k . d) dz, where
//    b_k . v_j = 1 if k = j and 0 otherwise, and the point stays on the ray d;
//  - what lies beside it: the visible edge of a surface moves with it and uncovers what is behind. See edges.h.
#pragma once

#include "edges.h"

namespace fastsynth {

// What a lane's face is in clip and object space, with the ray that meets it.
template <class Tile>
struct MetFace {
  using Float = typename Tile::Float;
  typename Tile::FaceRows rows;
  Vec3<Float> p[3], normal[3];
  Float u[3], v[3];
  TileSeen<Tile> seen;
  FacePlane<Float> plane;

  FS_KERNEL MetFace(const DrawView& d, const Prepared& prepared, typename Tile::Int face, typename Tile::Int x,
                    typename Tile::Int y, typename Tile::Mask active)
      : rows(d.assets.faces, face, active) {
    const float per_x = 2.0f / float(d.width), per_y = 2.0f / float(d.height);
    Vec3<Float> clip[3];
    for (int i = 0; i < 3; ++i) {
      Float first[4], rest[4];
      rows.read(d.assets.vertex_data, i, first);
      rows.read(d.assets.vertex_data + 4, i, rest);
      p[i] = {first[0], first[1], first[2]};
      normal[i] = {first[3], rest[0], rest[1]};
      u[i] = rest[2];
      v[i] = rest[3];
      clip[i] = prepared.clip.point(p[i]);
    }
    const Float ndc_x = (to_float(x) + Float(0.5f)) * Float(per_x) - Float(1.0f);
    const Float ndc_y = (to_float(y) + Float(0.5f)) * Float(per_y) - Float(1.0f);
    plane = FacePlane<Float>(clip, ndc_x, ndc_y, per_x, per_y);
    seen.hit = intersect(clip[0], clip[1], clip[2], ndc_x, ndc_y, per_x, per_y);
    seen.a = rows.corner(0);
    seen.b = rows.corner(1);
    seen.c = rows.corner(2);
    seen.material = rows.material();
    seen.position = weigh(p[0], p[1], p[2], seen.hit);
    seen.normal = weigh(normal[0], normal[1], normal[2], seen.hit);
    seen.uv = uv_at(u, v, seen.hit);
  }
};

struct DrawBackward : DrawView {
  static constexpr int kPartNumbers = 8, kPartLanes = 256;
  template <class Tile>
  struct Shared {
    float part[kPartNumbers][kPartLanes];
  };
  template <class Tile>
  static constexpr int lanes() {
    return 128;
  }

  const float *rgb, *grad;   // [B, 3, H, W]
  float* rows;               // [B, N + 1, row_size(L)]
  int64_t* texel_grad;       // [X, 4] in units of 1 / texel_scale; or null
  const float* texel_scale;  // [1]

  FS_HD int64_t tiles() const { return int64_t(scene.images) * (scene.instances + 1); }

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>& shared) const {
    using Float = typename Tile::Float;
    const int64_t image = tile.index / (scene.instances + 1);
    const int32_t slot = int32_t(tile.index % (scene.instances + 1));
    const int numbers = row_size(look.lights);
    Float row[kMaxRow];
    for (int k = 0; k < numbers; ++k) row[k] = Float(0.0f);
    const Imaging imaging = imaging_of(*this, image);
    if (slot == scene.instances) {
      const int32_t all[4] = {0, 0, width - 1, height - 1};
      for_blocks<Tile>(tile, all,
                       [&](int32_t left, int32_t top) { background_block<Tile>(image, imaging, left, top, row); });
    } else {
      const int32_t* box = seen + 5 * (image * scene.instances + slot);
      const Lights lights = lights_of(*this, image);
      const Eye eye = eye_of(*this, image);
      if (box[4] > 0)
        for_blocks<Tile>(tile, box, [&](int32_t left, int32_t top) {
          surface_block(tile, image, slot, imaging, lights, eye, left, top, row);
        });
    }
    tile.sum_lanes(shared.part, row, numbers, rows + tile.index * numbers);
  }

 private:
  // Calls body(left, top) for the blocks that touch a box, its last row and column included.
  template <class Tile, class F>
  static FS_KERNEL void for_blocks(Tile& tile, const int32_t* box, F&& body) {
    constexpr int kBlock = Tile::kBlock;
    const int32_t left = box[0] / kBlock, top = box[1] / kBlock;
    const int32_t across = box[2] / kBlock - left + 1, down = box[3] / kBlock - top + 1;
    tile.for_one(across * down, [&](int32_t i) { body((left + i % across) * kBlock, (top + i / across) * kBlock); });
  }

  // Gradient of linear light `c` from that of the picture; adds that of the gain.
  template <class Float, class Mask>
  FS_KERNEL Vec3<Float> developed_backward(const Imaging& imaging, Vec3<Float> c, Vec3<Float> g,
                                           const RowSums<Float, Mask>& sums) const {
    if (linear) return g;
    const Float light[3] = {c.x, c.y, c.z}, shown[3] = {g.x, g.y, g.z};
    Float back[3];
    for (int i = 0; i < 3; ++i) {
      const Float gain(imaging.gain[i]);
      const Float through = shown[i] * develop_slope(light[i] * gain, look.tone);
      sums.add(kGainRow + i, through * light[i]);
      back[i] = through * gain;
    }
    return {back[0], back[1], back[2]};
  }

  template <class Tile>
  FS_KERNEL void background_block(int64_t image, const Imaging& imaging, int32_t left, int32_t top,
                                  typename Tile::Float* row) const {
    using Float = typename Tile::Float;
    using Mask = typename Tile::Mask;
    const Picture<Tile> picture(*this, image, left, top);
    const Mask empty = picture.inside & (picture.instance(0, 0, picture.inside) < typename Tile::Int(0));
    if (!any(empty)) return;
    const RowSums<Float, Mask> sums{row, empty};
    const Vec3<Float> g = picture.color(grad, 0, 0, empty);
    const Vec3<Float> c =
        background_radiance(look, image, to_float(picture.x), to_float(picture.y), float(width), float(height), empty);
    const Vec3<Float> back = developed_backward(imaging, c, g, sums);
    if (valid_row(look.photo_id[image], look.photos.count) >= 0) return;
    const Float down = (to_float(picture.y) + Float(0.5f)) * Float(1.0f / float(height));
    sums.add(kBackgroundRow, back * (Float(1.0f) - down));
    sums.add(kBackgroundRow + 3, back * down);
  }

  template <class Tile>
  FS_KERNEL void surface_block(Tile& tile, int64_t image, int32_t n, const Imaging& imaging, const Lights& lights,
                               const Eye& eye, int32_t left, int32_t top, typename Tile::Float* row) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const Picture<Tile> picture(*this, image, left, top);
    const Mask same = picture.inside & (picture.instance(0, 0, picture.inside) == Int(n));
    if (!any(same)) return;
    const int64_t instance = image * scene.instances + n;
    const Prepared& p = prepared[instance];
    const Int face = picture.triangle(0, 0, same);
    const MetFace<Tile> met(*this, p, face, picture.x, picture.y, same);
    const Vec3<Float> g = picture.color(grad, 0, 0, same);
    // Of the material point in clip space.
    Vec3<Float> moved = edges(tile, *this, rgb, grad, image, n, picture, met, face, g, same);
    tile.for_unique(met.seen.material, same, [&](int32_t material, Mask lanes) {
      const RowSums<Float, Mask> sums{row, lanes};
      const Vec3<Float> by_look = look_backward(tile, imaging, instance, material, lights, eye, p, met, g, sums);
      moved = {select(lanes, moved.x + by_look.x, moved.x), select(lanes, moved.y + by_look.y, moved.y),
               select(lanes, moved.z + by_look.z, moved.z)};
    });
    const Mask sound = same & met.plane.sound;
    RowSums<Float, Mask>{row, sound}.add_outer(kClipRow, 4, moved, met.seen.position);
  }

  // Goes back from a pixel's colour to its surface's look, then to the weights of the corners, then to the point.
  template <class Tile>
  FS_APART Vec3<typename Tile::Float> look_backward(
      Tile& tile, const Imaging& imaging, int64_t instance, int32_t material, const Lights& lights, const Eye& eye,
      const Prepared& p, const MetFace<Tile>& met, Vec3<typename Tile::Float> g,
      const RowSums<typename Tile::Float, typename Tile::Mask>& sums) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    const TileSeen<Tile>& seen = met.seen;
    const bool decode = look.tone != kToneLinear, glossy = look.shading != kLambert, mips = look.mips != 0;
    // Forward, as surface_radiance().
    const float* m = assets.materials + 8 * material;
    const float* tint = look.base_color + 4 * instance;
    const Uv<Float>& uv = seen.uv;
    Vec3<Float> coded[3], vertex_color{Float(1.0f), Float(1.0f), Float(1.0f)}, between = vertex_color;
    if (assets.vertex_colors) {
      const Int corner[3] = {seen.a, seen.b, seen.c};
      for (int i = 0; i < 3; ++i) {
        const Color<Float> c = unpack<Float>(gather(assets.vertex_colors, corner[i], sums.active), false);
        coded[i] = {c.r, c.g, c.b};
      }
      between = weigh(coded[0], coded[1], coded[2], seen.hit);
      vertex_color =
          decode ? Vec3<Float>{srgb_decode(between.x), srgb_decode(between.y), srgb_decode(between.z)} : between;
    }
    const int32_t texture = base_texture(assets, look, instance, material);
    const int32_t gloss_texture =
        glossy ? valid_row(assets.material_textures[2 * material + 1], assets.textures.count) : -1;
    Lookup<Float, Int> lookup, gloss_lookup;
    Vec3<Float> texel{Float(1.0f), Float(1.0f), Float(1.0f)};
    Surface<Float> s;
    s.metallic = Float(m[4]);
    s.roughness = Float(m[5]);
    if (texture >= 0) {
      lookup = look_up(assets.textures, texture, uv.u, uv.v, uv.u_x, uv.v_x, uv.u_y, uv.v_y, mips, sums.active);
      const Color<Float> c = lookup.color(decode);
      texel = {c.r, c.g, c.b};
    }
    Float gloss_g(1.0f), gloss_b(1.0f);
    if (gloss_texture >= 0) {
      gloss_lookup =
          look_up(assets.textures, gloss_texture, uv.u, uv.v, uv.u_x, uv.v_x, uv.u_y, uv.v_y, mips, sums.active);
      const Color<Float> c = gloss_lookup.color(false);
      gloss_g = c.g;
      gloss_b = c.b;
      s.roughness = s.roughness * c.g;
      s.metallic = s.metallic * c.b;
    }
    const bool own_metallic = look.metallic[instance] >= 0, own_roughness = look.roughness[instance] >= 0;
    if (own_metallic) s.metallic = Float(look.metallic[instance]);
    if (own_roughness) s.roughness = Float(look.roughness[instance]);
    const Vec3<Float> plain = product(vertex_color, texel);
    const Vec3<Float> of_material{Float(m[0]), Float(m[1]), Float(m[2])}, of_instance = spread<Float>(tint);
    s.base = product(product(of_material, of_instance), plain);
    s.normal = seen_normal(p, seen);
    s.position = p.world.point(seen.position);
    const Vec3<Float> to_eye = spread<Float>(eye.at) - s.position;
    s.to_eye = normalize(to_eye);

    // Back.
    const Vec3<Float> radiance =
        glossy ? shade_glossy(lights, look.shading, s) : product(shade_white(lights, s), s.base);
    const Vec3<Float> grad_light = developed_backward(imaging, radiance, g, sums);
    Surface<Float> back{zero_vector<Float>(), zero_vector<Float>(), zero_vector<Float>(),
                        zero_vector<Float>(), Float(0.0f),          Float(0.0f)};
    shade_backward(lights, look.shading, s, grad_light, sums, back);
    if (glossy) {
      const Vec3<Float> grad_offset = normalize_backward(to_eye, s.to_eye, back.to_eye);
      sums.add(kEyeRow, grad_offset);
      back.position = back.position - grad_offset;
    }
    sums.add_outer(kWorldRow, 4, back.position, seen.position);
    sums.add(kTintRow, product(product(back.base, of_material), plain));
    const Vec3<Float> grad_plain = product(back.base, product(of_material, of_instance));
    Float grad_u(0.0f), grad_v(0.0f);
    const auto to_texel = [&](Int place, Vec3<Float> value) {
      if (!texel_grad) return;
      const Float parts[3] = {value.x, value.y, value.z};
      for (int c = 0; c < 3; ++c)
        tile.add_each(texel_grad + c, place << 2, parts[c] * Float(*texel_scale), sums.active);
    };
    if (texture >= 0) lookup_backward(lookup, decode, product(grad_plain, vertex_color), grad_u, grad_v, to_texel);
    if (own_metallic) sums.add(kMetallicRow, back.metallic);
    if (own_roughness) sums.add(kRoughnessRow, back.roughness);
    if (gloss_texture >= 0) {
      const Vec3<Float> grad_gloss{Float(0.0f), own_roughness ? Float(0.0f) : back.roughness * Float(m[5]),
                                   own_metallic ? Float(0.0f) : back.metallic * Float(m[4])};
      lookup_backward(gloss_lookup, false, grad_gloss, grad_u, grad_v, to_texel);
    }
    // The normal is turned towards the eye after it was taken to the world.
    const Vec3<Float> taken = p.normal.direction(seen.normal), unit = normalize(taken);
    const auto turned_round = dot(unit, s.normal) < Float(0.0f);
    const Vec3<Float> outward{select(turned_round, Float(0.0f) - back.normal.x, back.normal.x),
                              select(turned_round, Float(0.0f) - back.normal.y, back.normal.y),
                              select(turned_round, Float(0.0f) - back.normal.z, back.normal.z)};
    const Vec3<Float> grad_taken = normalize_backward(taken, unit, outward);
    sums.add_outer(kNormalRow, 3, grad_taken, seen.normal);

    const Vec3<Float> grad_normal = direction_backward(p.normal, grad_taken);
    const Vec3<Float> grad_position = direction_backward(p.world, back.position);
    Vec3<Float> grad_between = product(grad_plain, texel);
    if (decode && assets.vertex_colors)
      grad_between = {grad_between.x * srgb_decode_slope(between.x), grad_between.y * srgb_decode_slope(between.y),
                      grad_between.z * srgb_decode_slope(between.z)};
    Vec3<Float> moved = zero_vector<Float>();
    const Float weight[3] = {seen.hit.w0, seen.hit.w1, seen.hit.w2};
    for (int k = 1; k < 3; ++k) {
      Float grad_weight = dot(grad_position, met.p[k] - met.p[0]) + dot(grad_normal, met.normal[k] - met.normal[0]) +
                          grad_u * (met.u[k] - met.u[0]) + grad_v * (met.v[k] - met.v[0]);
      if (assets.vertex_colors) grad_weight = grad_weight + dot(grad_between, coded[k] - coded[0]);
      moved = moved + (met.plane.unit * weight[k] - met.plane.corner[k - 1]) * grad_weight;
    }
    return moved;
  }
};

}  // namespace fastsynth
