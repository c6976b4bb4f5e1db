// What is seen at a pixel: the surface of an instance, and the background.
#pragma once

#include "recolor.h"
#include "scene.h"

namespace fastsynth {

// Materials, lights, backgrounds and the imaging of each picture.
struct LookView {
  const float* base_color;            // [B, N, 4]
  const float *metallic, *roughness;  // [B, N], negative = the material's
  const int32_t* texture_id;          // [B, N]
  int32_t lights;
  const int32_t* light_kind;  // [B, L]
  const float *light_position, *light_direction, *light_color, *light_cone, *ambient;
  const float* background_color;  // [B, 2, 3]
  const int32_t* photo_id;        // [B]
  const float* photo_crop;        // [B, 4]
  const float* exposure;          // [B]
  const float* white_balance;     // [B, 3]
  Textures photos;
  int32_t shading, tone;
  int32_t mips;               // trilinear (1) or bilinear from level 0 (0)
  const float* color_matrix;  // [B, N, 3, 4], or null: none
};

// Part of `texture_id` that names a row of `count`, or -1.
FS_HD int32_t valid_row(int32_t row, int32_t count) { return row >= 0 && row < count ? row : -1; }

// Texture coordinates at a hit.
template <class T>
FS_HD Uv<T> uv_at(const T u[3], const T v[3], const Hit<T>& hit) {
  const T du1 = u[1] - u[0], du2 = u[2] - u[0], dv1 = v[1] - v[0], dv2 = v[2] - v[0];
  return {u[0] + hit.w1 * du1 + hit.w2 * du2, v[0] + hit.w1 * dv1 + hit.w2 * dv2, hit.w1_x * du1 + hit.w2_x * du2,
          hit.w1_x * dv1 + hit.w2_x * dv2,    hit.w1_y * du1 + hit.w2_y * du2,    hit.w1_y * dv1 + hit.w2_y * dv2};
}

// What the lanes see of one instance.
template <class T, class I>
struct Seen {
  I a, b, c, material;  // rows of the corners and of the material
  Hit<T> hit;
  Vec3<T> position, normal;  // in object space, the normal of any length
  Uv<T> uv;
};

// The base colour texture of an instance's material, or -1.
FS_HD int32_t base_texture(const AssetView& assets, const LookView& look, int64_t instance, int32_t material) {
  const int32_t own = look.texture_id[instance];
  if (own == -2) return -1;
  return valid_row(own >= 0 ? own : assets.material_textures[2 * material], assets.textures.count);
}

// Is an alpha-masked surface there? Its texture's alpha against the cutoff.
template <class T, class I, class M>
FS_HD M opaque(const AssetView& assets, const LookView& look, const Prepared& p, int64_t instance, int32_t face,
               T ndc_x, T ndc_y, float ndc_per_x, float ndc_per_y, M inside) {
  const int32_t* row = assets.faces + 4 * int64_t(face);
  const int32_t material = row[3];
  const float cutoff = assets.materials[8 * material + 6];
  if (!(cutoff > 0)) return inside;
  Vertex<T> corner[3];
  for (int i = 0; i < 3; ++i)
    for (int k = 0; k < 8; ++k) corner[i].v[k] = T(assets.vertex_data[8 * int64_t(row[i]) + k]);
  const Hit<T> hit = intersect(p.clip.point(corner[0].position()), p.clip.point(corner[1].position()),
                               p.clip.point(corner[2].position()), ndc_x, ndc_y, ndc_per_x, ndc_per_y);
  T alpha(assets.materials[8 * material + 3] * look.base_color[4 * instance + 3]);
  const int32_t texture = base_texture(assets, look, instance, material);
  if (texture >= 0) {
    const T u[3] = {corner[0].tu(), corner[1].tu(), corner[2].tu()},
            v[3] = {corner[0].tv(), corner[1].tv(), corner[2].tv()};
    const Uv<T> uv = uv_at(u, v, hit);
    alpha = alpha * sample(assets.textures, texture, uv, false, look.mips != 0, inside).a;
  }
  return inside & (alpha >= T(cutoff));
}

// Unit normal in the world, on the side that is seen.
template <class T, class I>
FS_HD Vec3<T> seen_normal(const Prepared& p, const Seen<T, I>& seen) {
  const Vec3<T> n = normalize(p.normal.direction(seen.normal));
  const auto back = p.mirrored ? (seen.hit.facing > T(0.0f)) : (seen.hit.facing < T(0.0f));
  return {select(back, -n.x, n.x), select(back, -n.y, n.y), select(back, -n.z, n.z)};
}

// The base colour of the surface at a hit before any texture: the material's, the instance's tint, the vertices' colours.
// The instance and its material are the same in all lanes, here and below.
template <class T, class I, class M>
FS_HD Vec3<T> untextured_base(const AssetView& assets, const LookView& look, int64_t instance, int32_t material,
                              const Seen<T, I>& seen, M active) {
  const float* m = assets.materials + 8 * material;
  const float* tint = look.base_color + 4 * instance;
  const Vec3<T> base{T(m[0] * tint[0]), T(m[1] * tint[1]), T(m[2] * tint[2])};
  if (!assets.vertex_colors) return base;
  const Color<T> a = unpack<T>(gather(assets.vertex_colors, seen.a, active), false);
  const Color<T> b = unpack<T>(gather(assets.vertex_colors, seen.b, active), false);
  const Color<T> c = unpack<T>(gather(assets.vertex_colors, seen.c, active), false);
  Vec3<T> coded = weigh(Vec3<T>{a.r, a.g, a.b}, Vec3<T>{b.r, b.g, b.b}, Vec3<T>{c.r, c.g, c.b}, seen.hit);
  if (look.tone != kToneLinear) coded = {srgb_decode(coded.x), srgb_decode(coded.y), srgb_decode(coded.z)};
  return product(base, coded);
}

// Metallic and roughness: the material's times the texture's, or the instance's own.
template <class T, class I, class M>
FS_HD void read_gloss(const AssetView& assets, const LookView& look, int64_t instance, int32_t material,
                      const Seen<T, I>& seen, M active, Surface<T>& s) {
  const float* m = assets.materials + 8 * material;
  s.metallic = T(m[4]);
  s.roughness = T(m[5]);
  const int32_t texture = valid_row(assets.material_textures[2 * material + 1], assets.textures.count);
  if (texture >= 0) {
    const Color<T> c = sample(assets.textures, texture, seen.uv, false, look.mips != 0, active);
    s.roughness = s.roughness * c.g;
    s.metallic = s.metallic * c.b;
  }
  if (look.metallic[instance] >= 0) s.metallic = T(look.metallic[instance]);
  if (look.roughness[instance] >= 0) s.roughness = T(look.roughness[instance]);
}

// Linear radiance of the surface at a hit.
template <class T, class I, class M, class L>
FS_HD Vec3<T> surface_radiance(const AssetView& assets, const LookView& look, const L& lights, const Prepared& p,
                               int64_t instance, int32_t material, const Seen<T, I>& seen, const float* eye, M active) {
  Surface<T> s;
  s.base = untextured_base(assets, look, instance, material, seen, active);
  const int32_t texture = base_texture(assets, look, instance, material);
  const bool gloss = look.shading != kLambert;
  Lookup<T, I> lookup;
  if (texture >= 0) lookup.read(assets.textures, texture, seen.uv, look.mips != 0, active);
  s.normal = seen_normal(p, seen);
  if (gloss || lights.local) s.position = p.world.point(seen.position);
  if (gloss) s.to_eye = normalize(spread<T>(eye) - s.position);
  Vec3<T> white;
  if (!gloss) white = shade_white(lights, s);
  if (texture >= 0) {
    const Color<T> c = lookup.color(look.tone != kToneLinear);
    s.base = {s.base.x * c.r, s.base.y * c.g, s.base.z * c.b};
  }
  if (look.color_matrix) s.base = recolored(look.color_matrix + 12 * instance, s.base);
  if (!gloss) return product(white, s.base);
  read_gloss(assets, look, instance, material, seen, active, s);
  return shade_glossy(lights, look.shading, s, s.base * (T(1.0f) - s.metallic));
}

// Where a photograph is looked up, at parts of the picture's width and height.
template <class T>
FS_HD Uv<T> photo_uv(const LookView& look, int64_t image, T across, T down, float width, float height) {
  const float* crop = look.photo_crop + 4 * image;
  return {T(crop[0]) + across * T(crop[2] - crop[0]),
          T(crop[1]) + down * T(crop[3] - crop[1]),
          T((crop[2] - crop[0]) / width),
          T(0.0f),
          T(0.0f),
          T((crop[3] - crop[1]) / height)};
}

// Linear background at sample (x, y) of an image of width x height samples.
template <class T, class M>
FS_HD Vec3<T> background_radiance(const LookView& look, int64_t image, T x, T y, float width, float height, M active) {
  const int32_t photo = valid_row(look.photo_id[image], look.photos.count);
  const T across = (x + T(0.5f)) * T(1.0f / width), down = (y + T(0.5f)) * T(1.0f / height);
  if (photo < 0) {
    const float* c = look.background_color + 6 * image;
    return {T(c[0]) + down * T(c[3] - c[0]), T(c[1]) + down * T(c[4] - c[1]), T(c[2]) + down * T(c[5] - c[2])};
  }
  const Uv<T> uv = photo_uv(look, image, across, down, width, height);
  const Color<T> c = sample(look.photos, photo, uv, look.tone != kToneLinear, look.mips != 0, active);
  return {c.r, c.g, c.b};
}

}  // namespace fastsynth
