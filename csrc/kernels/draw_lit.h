// Colour where light may be kept off or comes from a panorama: shades what Draw has found visible.
//
// Draw writes down which face each sample sees, and this reads it. What only some scenes have is in a kernel of its own,
// so that the others do not pay for it, neither in registers nor in time.
#pragma once

#include "../core/lit.h"
#include "draw_backward.h"

namespace fastsynth {

// The shadow maps and panoramas of a batch, and the gloss of its lights.
struct LightingView {
  const float *maps, *cameras;  // [B, S, size, size], [B, S, 16]
  int32_t count, size;          // S; sides of a map
  uint32_t casters;             // S bits
  const float* texels;          // [E, T, 4]
  const float* reflectance;     // [32, 32, 4] of the shading
  const int32_t* panorama;      // [B] row of the panoramas, or -1
  const float *scale, *turn;    // [B] and [B, 2]
  const float* gloss;           // [B, L]
  int32_t panoramas, levels, visible;
  int64_t texels_each;
  alignas(64) int32_t first[16];
  int32_t sides[16];

  FS_KERNEL Shadows shadows(int64_t image) const {
    return {maps + image * count * size * size, cameras + image * count * kShadowNumbers, size, casters};
  }
  FS_KERNEL Environment environment(int64_t image) const {
    const int32_t row = panoramas > 0 ? valid_row(panorama[image], panoramas) : -1;
    if (row < 0) return {};
    return {texels + 4 * texels_each * row,
            reflectance,
            first,
            sides,
            levels,
            scale[image],
            turn[2 * image],
            turn[2 * image + 1]};
  }
};

FS_KERNEL LitLights lit_lights_of(const DrawView& d, const LightingView& lighting, int64_t image) {
  LitLights lights{lights_of(d, image), lighting.shadows(image), lighting.environment(image), lighting.gloss,
                   int32_t(image) * d.look.lights};
  lights.local = lights.local || lighting.casters != 0;  // whether a point is in a shadow depends on where it lies
  return lights;
}

// What lies behind everything at sample (x, y): the panorama, where there is one to be seen.
struct Backdrop {
  Environment environment;
  Affine camera;
  float fx, skew, cx, fy, cy, aspect;
  bool seen;

  FS_KERNEL Backdrop(const DrawView& d, const LightingView& lighting, int64_t image)
      : environment(lighting.environment(image)), camera(load_affine(d.scene.camera_from_world + 16 * image)) {
    const float* k = d.scene.intrinsics + 9 * image;
    fx = k[0];
    skew = k[1];
    cx = k[2];
    fy = k[4];
    cy = k[5];
    aspect = float(d.width) / float(d.height);
    seen = environment.there() && lighting.visible;
  }
  // The way that a ray goes in the world, of any length.
  template <class T>
  FS_KERNEL Vec3<T> ray(const DrawView& d, T x, T y) const {
    const T across = ((x + T(0.5f)) * T(1.0f / float(d.width)) - T(0.5f)) * T(aspect);
    const T down = (y + T(0.5f)) * T(1.0f / float(d.height)) - T(0.5f);
    const T v = (down - T(cy)) / T(fy), u = (across - T(cx) - T(skew) * v) / T(fx);
    return direction_backward(camera, Vec3<T>{u, v, T(1.0f)});
  }
  template <class T, class M>
  FS_KERNEL Vec3<T> radiance(const DrawView& d, int64_t image, T x, T y, M active) const {
    if (!seen) return background_radiance(d.look, image, x, y, float(d.width), float(d.height), active);
    return environment_radiance(environment, ray(d, x, y));
  }
};

struct DrawLit : DrawView {
  static constexpr int kBlocksAtOnce = 2;
  template <class Tile>
  struct Shared {
    typename Tile::Strip strip;
  };
  template <class Tile>
  static constexpr int lanes() {
    return 256;
  }
  LightingView lighting;

  FS_HD int32_t tiles_x(int side) const { return (width / grid + side - 1) / side; }
  FS_HD int32_t tiles_y(int side) const { return (height / grid + side - 1) / side; }
  FS_HD int64_t tiles(int side) const { return int64_t(scene.images) * tiles_x(side) * tiles_y(side); }

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>& shared) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int32_t across = tiles_x(Tile::kSide), per_image = across * tiles_y(Tile::kSide);
    const int64_t image = tile.index / per_image;
    const int32_t place = int32_t(tile.index % per_image);
    const TileFrame pixels{place % across * Tile::kSide, place / across * Tile::kSide, width / grid, height / grid};
    const LitLights lights = lit_lights_of(*this, lighting, image);
    const Imaging imaging = imaging_of(*this, image);
    const Eye eye = eye_of(*this, image);
    const int32_t* instances = instance_id + image * int64_t(width) * height;
    const int32_t* faces = triangle_id + image * int64_t(width) * height;
    const auto block = [&](Int, int32_t in_x, int32_t in_y) {
      const Position<Tile> at(pixels, in_x, in_y);
      Vec3<Float> sum = zero_vector<Float>();
      for (int32_t sample = 0; sample < grid * grid; ++sample) {
        const Int x = multiply(at.x, Int(grid)) + Int(sample % grid),
                  y = multiply(at.y, Int(grid)) + Int(sample / grid);
        const Int number = multiply(y, Int(width)) + x;
        const Int slot = select(at.inside, gather(instances, number, at.inside), Int(-1));
        const Int face = gather(faces, number, at.inside);
        const Mask hit = is_surface(*this, slot, face);
        Vec3<Float> radiance = zero_vector<Float>();
        if (!all(hit))  // read again for each block: kept, it would take registers that a GPU has not
          radiance = Backdrop(*this, lighting, image).radiance(*this, image, to_float(x), to_float(y), at.inside);
        tile.for_unique(slot, hit, [&](int32_t n, Mask same) {
          const int64_t instance = image * scene.instances + n;
          const Prepared& p = prepared[instance];
          add_surfaces(*this, tile, lights, eye, p, instance, see<Tile>(*this, p, face, x, y, true, same), same,
                       radiance);
        });
        sum = sum + radiance;
      }
      if (grid > 1) sum = sum * Float(1.0f / float(grid * grid));
      write_color(*this, tile, shared.strip, image, pixels.width, pixels.height, at, imaging, sum);
    };
    tile.begin_strips(shared.strip);
    tile.for_blocks(
        shared.strip, Tile::kSide, pixels.width - pixels.left, pixels.height - pixels.top, [](Int) { return false; },
        [](int32_t, int32_t, int32_t, int32_t) {}, block);
    tile.end_strips();
  }
};

struct DrawLitBackward : DrawBackwardOf<DrawLitBackward> {
  static constexpr int kMostNumbers = kMaxRow + kEnvironmentNumbers, kWantBehind = kWantEnvironment;
  LightingView lighting;

  FS_HD int numbers() const { return row_size(look.lights) + kEnvironmentNumbers; }
  FS_KERNEL LitLights lights_at(int64_t image) const { return lit_lights_of(*this, lighting, image); }
  template <class T, class M>
  FS_KERNEL Vec3<T> behind(int64_t image, T x, T y, M active) const {
    return Backdrop(*this, lighting, image).radiance(*this, image, x, y, active);
  }
  template <class T, class M>
  FS_KERNEL bool behind_backward(int64_t image, T x, T y, Vec3<T> grad, const RowSums<T, M>& sums) const {
    const Backdrop backdrop(*this, lighting, image);
    if (backdrop.seen && sums.wants(kWantEnvironment))
      environment_backward(backdrop.environment, row_size(look.lights), backdrop.ray(*this, x, y), grad, sums);
    return backdrop.seen;
  }
};

}  // namespace fastsynth
