// From the gradient of a surface's colour at pixels to those of its look, its lights and the point that is seen.
#pragma once

#include "../core/texel_backward.h"
#include "edges.h"

namespace fastsynth {

// What the gradients of a drawn picture are made from and where they go.
struct DrawGradients : DrawView {
  const float *rgb, *grad;  // [B, 3, H, W]
  int32_t wanted;           // bits of Wanted
  float* rows;              // [B, N + 1, row_size(L)]
  int64_t* texel_grad;      // [X, 4] in units, or null
  const int32_t* largest;   // [1] bits of the picture's largest gradient, for the unit
};
// Of the number of terms that a texel's gradient can have, each as large as the picture's largest.
constexpr int64_t kTexelTerms = int64_t{1} << 32;

// What a lane's face is in clip and object space, with the ray that meets it.
template <class Tile>
struct MetFace {
  using Float = typename Tile::Float;
  typename Tile::FaceRows rows;
  Vec3<Float> p[3], normal[3];
  Float u[3], v[3];
  TileSeen<Tile> seen;
  FacePlane<Float> plane;
  Float breadth;  // how much the inverse depth changes when a point comes nearer by the breadth of a pixel

  FS_KERNEL MetFace(const DrawView& d, int64_t image, const Prepared& prepared, typename Tile::Int face, Float ndc_x,
                    Float ndc_y, typename Tile::Mask active)
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
    plane = FacePlane<Float>(clip, ndc_x, ndc_y, per_x, per_y);
    breadth = plane.inverse * Float(1.0f / (d.scene.intrinsics[9 * image + 4] * float(d.height)));
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

// How much of what a surface looks like moves with its point: all, but where a curved surface turns away from the eye.
// There it is faces thinner than a pixel, each of which moves by the tangent of its angle to the picture. That has a
// mean over the pixels, but no variance: the few that are nearly edge-on would drown all others. So it is held, at the
// tangent kGrazing, for faces over which the weights of the corners change by more than kThin a pixel. See
// docs/design/0006-gradients.md.
constexpr float kGrazing = 3.0f, kThin = 0.5f;
template <class Tile>
FS_KERNEL typename Tile::Float held_at_grazing(const MetFace<Tile>& met) {
  using Float = typename Tile::Float;
  const auto& hit = met.seen.hit;
  const auto square = [](Float x, Float y) { return x * x + y * y; };
  const Float tangent_2 = square(met.plane.slope_x, met.plane.slope_y) / (met.breadth * met.breadth);
  const Float change_2 = max(max(square(hit.w1_x, hit.w1_y), square(hit.w2_x, hit.w2_y)),
                             square(hit.w1_x + hit.w2_x, hit.w1_y + hit.w2_y));
  const Float least_2(1e-12f),
      held_2 = max(Float(kGrazing * kGrazing) / max(tangent_2, least_2), Float(kThin * kThin) / max(change_2, least_2));
  return min(sqrt(held_2), Float(1.0f));
}

// Gradient of linear light `c` from that of the picture; adds that of the gain.
template <class Float, class Mask>
FS_KERNEL Vec3<Float> developed_backward(const DrawView& d, const Imaging& imaging, Vec3<Float> c, Vec3<Float> g,
                                         const RowSums<Float, Mask>& sums) {
  if (d.linear) return g;
  const Float light[3] = {c.x, c.y, c.z}, shown[3] = {g.x, g.y, g.z};
  Float back[3];
  for (int i = 0; i < 3; ++i) {
    const Float gain(imaging.gain[i]);
    const Float through = shown[i] * develop_slope(light[i] * gain, d.look.tone);
    if (sums.wants(kWantGain)) sums.add(kGainRow + i, through * light[i]);
    back[i] = through * gain;
  }
  return {back[0], back[1], back[2]};
}

// The way back through an object's normal, which is taken to the world and turned towards the eye.
template <class Tile, class Sums>
FS_KERNEL Vec3<typename Tile::Float> normal_backward(const Prepared& p, Vec3<typename Tile::Float> of_object,
                                                     Vec3<typename Tile::Float> shown, Vec3<typename Tile::Float> grad,
                                                     const Sums& sums) {
  using Float = typename Tile::Float;
  const Vec3<Float> taken = p.normal.direction(of_object), unit = normalize(taken);
  const Float side = select(dot(unit, shown) < Float(0.0f), Float(-1.0f), Float(1.0f));
  const Vec3<Float> grad_taken = normalize_backward(taken, unit, grad * side);
  sums.add_direction(kNormalRow, 3, grad_taken, of_object);
  return direction_backward(p.normal, grad_taken);
}

// Goes back from a pixel's colour to its surface's look, then to the weights of the corners, then to the point, whose
// gradient in clip space it returns. The forward part is surface_radiance()'s.
template <class Tile, class L>
FS_APART Vec3<typename Tile::Float> look_backward(Tile& tile, const DrawGradients& d, const Imaging& imaging,
                                                  int64_t instance, int32_t material, const L& lights, const Eye& eye,
                                                  const Prepared& p, const MetFace<Tile>& met,
                                                  Vec3<typename Tile::Float> g,
                                                  const RowSums<typename Tile::Float, typename Tile::Mask>& sums) {
  using Float = typename Tile::Float;
  using Int = typename Tile::Int;
  const AssetView& assets = d.assets;
  const LookView& look = d.look;
  const Float held = held_at_grazing(met);
  const TileSeen<Tile>& seen = met.seen;
  const Vec3<Float> zero = zero_vector<Float>(), white{Float(1.0f), Float(1.0f), Float(1.0f)};
  const bool decode = look.tone != kToneLinear, glossy = look.shading != kLambert, mips = look.mips != 0;
  const bool placed = glossy || lights.local;  // does the look depend on where the surface is?
  const float* m = assets.materials + 8 * material;
  const Int corner[3] = {seen.a, seen.b, seen.c};
  const auto coded = [&](int i) {  // a corner's colour
    const Color<Float> c = unpack<Float>(gather(assets.vertex_colors, corner[i], sums.active), false);
    return Vec3<Float>{c.r, c.g, c.b};
  };
  Vec3<Float> vertex_color = white, between = white;
  if (assets.vertex_colors) {
    between = weigh(coded(0), coded(1), coded(2), seen.hit);
    vertex_color = between;
    if (decode) vertex_color = {srgb_decode(between.x), srgb_decode(between.y), srgb_decode(between.z)};
  }
  const int32_t texture = base_texture(assets, look, instance, material);
  const int32_t gloss_texture =
      glossy ? valid_row(assets.material_textures[2 * material + 1], assets.textures.count) : -1;
  LookupBackward<Float, Int> lookup;
  Vec3<Float> texel = white;
  Surface<Float> s;
  s.metallic = Float(m[4]);
  s.roughness = Float(m[5]);
  if (texture >= 0) {
    lookup.read(assets.textures, texture, seen.uv, mips, sums.active);
    const Color<Float> c = lookup.color(decode);
    texel = {c.r, c.g, c.b};
    if (d.texel_grad) lookup.for_places([&](Int place) { tile.expect_rows(d.texel_grad, place, sums.active); });
  }
  if (gloss_texture >= 0) {
    const Color<Float> c = sample(assets.textures, gloss_texture, seen.uv, false, mips, sums.active);
    s.roughness = s.roughness * c.g;
    s.metallic = s.metallic * c.b;
  }
  const bool own_metallic = look.metallic[instance] >= 0, own_roughness = look.roughness[instance] >= 0;
  if (own_metallic) s.metallic = Float(look.metallic[instance]);
  if (own_roughness) s.roughness = Float(look.roughness[instance]);
  const Vec3<Float> plain = product(vertex_color, texel);
  const Vec3<Float> of_material = spread<Float>(m), of_instance = spread<Float>(look.base_color + 4 * instance);
  s.base = product(product(of_material, of_instance), plain);
  if (look.color_matrix) s.base = recolored(look.color_matrix + 12 * instance, s.base);
  s.normal = seen_normal(p, seen);
  Vec3<Float> to_eye = zero;
  if (placed) s.position = p.world.point(seen.position);
  if (glossy) {
    to_eye = spread<Float>(eye.at) - s.position;
    s.to_eye = normalize(to_eye);
  }

  const Vec3<Float> radiance = glossy ? shade_glossy(lights, look.shading, s, s.base * (Float(1.0f) - s.metallic))
                                      : product(shade_white(lights, s), s.base);
  const Vec3<Float> grad_light = developed_backward(d, imaging, radiance, g, sums);
  Surface<Float> back{zero, zero, zero, zero, Float(0.0f), Float(0.0f)};
  shade_backward(lights, look.shading, s, grad_light, sums, back);
  if (look.color_matrix) back.base = recolored_backward(look.color_matrix + 12 * instance, s.base, back.base);
  const Vec3<Float> grad_plain = product(back.base, product(of_material, of_instance));
  if (sums.wants(kWantLook)) {
    sums.add(kTintRow, product(product(back.base, of_material), plain));
    if (own_metallic) sums.add(kMetallicRow, back.metallic);
    if (own_roughness) sums.add(kRoughnessRow, back.roughness);
  }
  const Vec3<Float> grad_texel = product(grad_plain, vertex_color);
  const Vec3<Float> grad_gloss{Float(0.0f), own_roughness ? Float(0.0f) : back.roughness * Float(m[5]),
                               own_metallic ? Float(0.0f) : back.metallic * Float(m[4])};
  Uv<Float> grad_uv{Float(0.0f), Float(0.0f), Float(0.0f), Float(0.0f), Float(0.0f), Float(0.0f)};
  bool blends = false;  // two mip levels, anywhere
  const auto to_texture = [&](const LookupBackward<Float, Int>& found, int32_t number, bool decoded, Vec3<Float> grad) {
    blends = blends || found.blends;
    if (d.texel_grad) {
      const Float scale(power_of_two(unit_exponent(as_float(*d.largest), bits_of_terms(kTexelTerms))));
      tile.in_turn(number, [&] {
        found.to_texels(grad, decoded, [&](Int first, Int second, Vec3<Float> a, Vec3<Float> b) {
          tile.add_rows(d.texel_grad, first, second, a * scale, b * scale, sums.active);
        });
      });
    }
    if (sums.wants(kWantPose)) found.to_uv(grad, decoded, assets.textures.info + 4 * number, seen.uv, grad_uv);
  };
  if (texture >= 0) to_texture(lookup, texture, decode, grad_texel);
  if (gloss_texture >= 0) {  // read again: kept until now, it would take registers that a GPU has not
    LookupBackward<Float, Int> gloss;
    gloss.read(assets.textures, gloss_texture, seen.uv, mips, sums.active);
    to_texture(gloss, gloss_texture, false, grad_gloss);
  }
  if (!sums.wants(kWantPose)) return zero;

  if (glossy) {
    const Vec3<Float> grad_offset = normalize_backward(to_eye, s.to_eye, back.to_eye);
    sums.add(kEyeRow, grad_offset);
    back.position = back.position - grad_offset;
  }
  if (placed) sums.add_point(kWorldRow, back.position, seen.position);
  const Vec3<Float> grad_normal = normal_backward<Tile>(p, seen.normal, s.normal, back.normal, sums);
  const Vec3<Float> grad_position = placed ? direction_backward(p.world, back.position) : zero;
  Vec3<Float> grad_between = product(grad_plain, texel);
  if (decode && assets.vertex_colors)
    grad_between = {grad_between.x * srgb_decode_slope(between.x), grad_between.y * srgb_decode_slope(between.y),
                    grad_between.z * srgb_decode_slope(between.z)};
  // Weight k at a pixel with the ray through the point P moves by -(corner_k - weight_k unit) . dP. So does its change
  // from pixel to pixel, which is the same formula's, with P changing along.
  const Float weight[3] = {seen.hit.w0, seen.hit.w1, seen.hit.w2};
  Float du[2], dv[2], grad_weight[2];
  Vec3<Float> away[2];
  for (int k = 0; k < 2; ++k) {
    du[k] = met.u[k + 1] - met.u[0];
    dv[k] = met.v[k + 1] - met.v[0];
    away[k] = met.plane.unit * weight[k + 1] - met.plane.corner[k];
    grad_weight[k] = dot(grad_normal, met.normal[k + 1] - met.normal[0]) + grad_uv.u * du[k] + grad_uv.v * dv[k];
    if (placed) grad_weight[k] = grad_weight[k] + dot(grad_position, met.p[k + 1] - met.p[0]);
    if (assets.vertex_colors) grad_weight[k] = grad_weight[k] + dot(grad_between, coded(k + 1) - coded(0));
  }
  Vec3<Float> moved = (away[0] * grad_weight[0] + away[1] * grad_weight[1]) * held;
  if (!blends) return moved;
  const typename Tile::Mask not_edge_on = sums.active & met.plane.sound;
  const RowSums<Float, typename Tile::Mask> sound{sums.row, not_edge_on, sums.wanted};
  const auto along = [&](Float by_u, Float by_v, Float w1, Float w2) {  // one axis of the picture
    const Float first = by_u * du[0] + by_v * dv[0], second = by_u * du[1] + by_v * dv[1];
    moved = moved + met.plane.unit * (w1 * first + w2 * second);
    sound.add_direction(kClipRow, 4, away[0] * first + away[1] * second,
                        (met.p[1] - met.p[0]) * w1 + (met.p[2] - met.p[0]) * w2);
  };
  along(grad_uv.u_x, grad_uv.v_x, seen.hit.w1_x, seen.hit.w2_x);
  along(grad_uv.u_y, grad_uv.v_y, seen.hit.w1_y, seen.hit.w2_y);
  return moved;
}

}  // namespace fastsynth
