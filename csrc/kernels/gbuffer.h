// The G-buffer: what the surfaces that are seen are made of, and the light that comes to them. Which face a pixel shows
// is known by then.
//
// With "lambert" radiance is irradiance * base colour, with the glossy models irradiance * base colour * (1 - metallic)
// + specular; irradiance is the radiance that a white diffuse surface there would have.
#pragma once

#include "draw_lit.h"

namespace fastsynth {

// Outputs, null where not asked for.
struct GbufferView : DrawView {
  float* base_color;             // [B, 3, H, W] linear
  float* metallic_roughness;     // [B, 2, H, W]
  float *irradiance, *specular;  // [B, 3, H, W]
  int32_t* material_id;          // [B, H, W]
};

// The surface at a hit, all of it: surface_radiance() leaves out what a model of shading has no use for.
template <class T, class I, class M>
FS_HD Surface<T> surface_of(const AssetView& assets, const LookView& look, const Prepared& p, int64_t instance,
                            int32_t material, const Seen<T, I>& seen, const float* eye, M active) {
  Surface<T> s;
  s.base = untextured_base(assets, look, instance, material, seen, active);
  const int32_t texture = base_texture(assets, look, instance, material);
  if (texture >= 0) {
    const Color<T> c = sample(assets.textures, texture, seen.uv, look.tone != kToneLinear, look.mips != 0, active);
    s.base = product(s.base, Vec3<T>{c.r, c.g, c.b});
  }
  if (look.color_matrix) s.base = recolored(look.color_matrix + 12 * instance, s.base);
  read_gloss(assets, look, instance, material, seen, active, s);
  s.normal = seen_normal(p, seen);
  s.position = p.world.point(seen.position);
  s.to_eye = normalize(spread<T>(eye) - s.position);
  return s;
}

// `Kernel` gives lights_at(image).
template <class Kernel>
struct GbufferOf : GbufferView {
  template <class Tile>
  struct Shared {
    typename Tile::Strip strip;
  };
  template <class Tile>
  static constexpr int lanes() {
    return 128;
  }

  FS_HD int32_t tiles_x(int side) const { return (width + side - 1) / side; }
  FS_HD int32_t tiles_y(int side) const { return (height + side - 1) / side; }
  FS_HD int64_t tiles(int side) const { return int64_t(scene.images) * tiles_x(side) * tiles_y(side); }

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>& shared) const {
    const int32_t across = tiles_x(Tile::kSide), per_image = across * tiles_y(Tile::kSide);
    const int64_t image = tile.index / per_image;
    const int32_t place = int32_t(tile.index % per_image);
    const TileFrame frame{place % across * Tile::kSide, place / across * Tile::kSide, width, height};
    const auto lights = static_cast<const Kernel*>(this)->lights_at(image);
    tile.begin_strips(shared.strip);
    tile.for_blocks(
        shared.strip, Tile::kSide, width - frame.left, height - frame.top, [](typename Tile::Int) { return false; },
        [](int32_t, int32_t, int32_t, int32_t) {},
        [&](typename Tile::Int, int32_t in_x, int32_t in_y) {
          // The eye is made for each block: kept, it would take registers that a GPU has not.
          block(tile, shared, image, lights, eye_of(*this, image), Position<Tile>(frame, in_x, in_y));
        });
    tile.end_strips();
  }

 private:
  template <class Tile, class L>
  FS_KERNEL void block(Tile& tile, Shared<Tile>& shared, int64_t image, const L& lights, const Eye& eye,
                       const Position<Tile>& at) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const Picture<Tile> picture(*this, image, at.left, at.top);
    const Int own = select(at.inside, picture.instance(at.inside), Int(-1));
    const Int face = picture.triangle(at.inside);
    const Mask hit = is_surface(*this, own, face);
    const bool look_wanted = base_color || metallic_roughness || irradiance || specular;
    Int number(-1);
    Float of_metal(0.0f), of_rough(0.0f);
    const Vec3<Float> none{of_metal, of_metal, of_metal};
    Vec3<Float> base = none, light = none, shine = none;
    tile.for_unique(own, hit, [&](int32_t n, Mask same) {
      const int64_t instance = image * scene.instances + n;
      const Prepared& p = prepared[instance];
      const TileSeen<Tile> seen = see<Tile>(*this, p, face, at.x, at.y, true, same);
      number = select(same, seen.material, number);
      if (!look_wanted) return;
      tile.for_unique(seen.material, same, [&](int32_t material, Mask lanes) {
        const Surface<Float> s = surface_of(assets, look, p, instance, material, seen, eye.at, lanes);
        blend<Tile>(base, s.base, lanes);
        of_metal = select(lanes, s.metallic, of_metal);
        of_rough = select(lanes, s.roughness, of_rough);
        if (irradiance) blend<Tile>(light, shade_white(lights, s), lanes);
        if (specular && look.shading != kLambert)
          blend<Tile>(shine, shade_glossy(lights, look.shading, s, none), lanes);
      });
    });
    const int64_t plane = int64_t(width) * height, first = int64_t(at.top) * width + at.left;
    const auto store = [&](int plane_number, auto* to, int channels, int c, auto value) {
      if (to)
        tile.store(shared.strip, plane_number + c, to + first + (image * channels + c) * plane, width, at.in_x, value,
                   at.inside);
    };
    const auto store_3 = [&](int plane_number, float* to, const Vec3<Float>& v) {
      store(plane_number, to, 3, 0, v.x);
      store(plane_number, to, 3, 1, v.y);
      store(plane_number, to, 3, 2, v.z);
    };
    store_3(0, base_color, base);
    store_3(3, irradiance, light);
    store_3(6, specular, shine);
    store(9, metallic_roughness, 2, 0, of_metal);
    store(9, metallic_roughness, 2, 1, of_rough);
    store(11, material_id, 1, 0, number);
  }
};

struct Gbuffer : GbufferOf<Gbuffer> {
  FS_KERNEL Lights lights_at(int64_t image) const { return lights_of(*this, image); }
};

// Where light may be kept off or comes from a panorama.
struct GbufferLit : GbufferOf<GbufferLit> {
  LightingView lighting;

  FS_KERNEL LitLights lights_at(int64_t image) const { return lit_lights_of(*this, lighting, image); }
};

}  // namespace fastsynth
