// Filtered lookup in float textures and its adjoint.
#pragma once

#include "../core/texel.h"
#include "sums.h"

namespace fastsynth {

// Float textures, one a picture or one for all, and where pixels look into them.
struct TextureView : ItemKernel<1024> {
  const float* level[kMaxLevels];  // each [B or 1, h, w, C]
  int32_t level_width[kMaxLevels], level_height[kMaxLevels];
  int64_t level_stride[kMaxLevels];  // elements between images, 0 when shared
  int32_t levels, channels, wrap, nearest;
  const float* uv;     // [B, H, W, 2]
  const float* uv_da;  // [B, H, W, 4] du/dx du/dy dv/dx dv/dy, per pixel; or null: level 0
  int64_t images, pixels;

  FS_HD int64_t parts() const { return tiles_for(pixels); }
  FS_HD int64_t tiles() const { return images * parts(); }

  // Changes of place per pixel, in texels of level 0, and the longer of the two axes, squared.
  template <class Float>
  struct Footprint {
    Float ax, ay, bx, by, a, b, longer;
  };
  template <class Float, class Int, class Mask>
  FS_KERNEL Footprint<Float> footprint(int64_t first, Int i, Mask active) const {
    const float* d = uv_da + 4 * first;
    const Int at = i << 2;
    const float columns = float(level_width[0]), rows = float(level_height[0]);
    const Float width(columns), height(rows);
    Footprint<Float> f;
    f.ax = gather(d, at, active) * width, f.bx = gather(d + 1, at, active) * width;
    f.ay = gather(d + 2, at, active) * height, f.by = gather(d + 3, at, active) * height;
    f.a = f.ax * f.ax + f.ay * f.ay, f.b = f.bx * f.bx + f.by * f.by;
    f.longer = max(max(f.a, f.b), Float(1e-12f));
    return f;
  }
  template <class Float>
  FS_KERNEL Float lod_of(Float longer) const {
    return min(max(Float(0.5f) * log2_of(min(longer, Float(1e30f))), Float(0.0f)), Float(float(levels - 1)));
  }

  // The taps in a level: elements of their first channels from the image's, and how far the place lies between them.
  template <class Float, class Int>
  struct Places {
    Int at[4];
    Float part_x, part_y;
  };
  template <class Float, class Int>
  FS_KERNEL Places<Float, Int> places(int32_t l, Float u, Float v) const {
    const Int width(level_width[l]), height(level_height[l]);
    const Float half(nearest ? 0.0f : 0.5f);
    const Float x = u * to_float(width) - half, y = v * to_float(height) - half;
    const Int left = floor_int(x), top = floor_int(y);
    const Int x0 = wrapped(left, width, wrap), y0 = multiply(wrapped(top, height, wrap), width);
    Places<Float, Int> p;
    p.part_x = p.part_y = Float(0.0f);
    p.at[0] = multiply(y0 + x0, Int(channels));
    if (nearest) return p;
    const Int x1 = wrapped(left + Int(1), width, wrap), y1 = multiply(wrapped(top + Int(1), height, wrap), width);
    p.at[1] = multiply(y0 + x1, Int(channels));
    p.at[2] = multiply(y1 + x0, Int(channels));
    p.at[3] = multiply(y1 + x1, Int(channels));
    p.part_x = x - to_float(left);
    p.part_y = y - to_float(top);
    return p;
  }
};

struct TextureLookup : TextureView {
  float* out;  // [B, H, W, C]

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>&) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int64_t image = tile.index / parts(), first = image * pixels + tile.index % parts() * kItems;
    float* to = out + first * channels;
    tile.for_each(int32_t(min((image + 1) * pixels - first, int64_t(kItems))), [&](Int i, Mask active) {
      const Float u = turned(gather(uv + 2 * first, i << 1, active), wrap),
                  v = turned(gather(uv + 2 * first + 1, i << 1, active), wrap);
      Float lod(0.0f);
      if (uv_da && levels > 1) lod = lod_of(this->template footprint<Float>(first, i, active).longer);
      const Int lower = floor_int(lod);
      const Float part = lod - to_float(lower);
      tile.for_unique(lower, active, [&](int32_t l, Mask same) {
        const bool blends = any(same & (part > Float(0.0f))) && l + 1 < levels;
        const auto fine = this->template places<Float, Int>(l, u, v);
        const auto coarse = this->template places<Float, Int>(blends ? l + 1 : l, u, v);
        for (int32_t c = 0; c < channels; ++c) {
          Float value = taps(image, l, c, fine, same);
          if (blends) value = value + part * (taps(image, l + 1, c, coarse, same) - value);
          scatter(to + c, multiply(i, Int(channels)), value, same);
        }
      });
    });
  }

 private:
  template <class Float, class Int, class Mask>
  FS_KERNEL Float taps(int64_t image, int32_t l, int32_t channel, const Places<Float, Int>& p, Mask active) const {
    const float* values = level[l] + image * level_stride[l] + channel;
    const Float a = gather(values, p.at[0], active);
    if (nearest) return a;
    const Float b = gather(values, p.at[1], active), c = gather(values, p.at[2], active),
                d = gather(values, p.at[3], active);
    const Float upper = a + p.part_x * (b - a), lower = c + p.part_x * (d - c);
    return upper + p.part_y * (lower - upper);
  }
};

// Gradients by uv and uv_da are gathered, those by texels are added to them.
struct TextureAdjoint : TextureView {
  const float* grad;                // [B, H, W, C]
  const int32_t* bound;             // [1] bits of the largest magnitude of grad; no tap weighs more than 1
  int32_t bits;                     // of the number of terms
  int64_t* sum;                     // all levels one after another, or null
  int64_t level_first[kMaxLevels];  // of each level in `sum`
  float* grad_uv;                   // [B, H, W, 2] or null
  float* grad_uv_da;                // [B, H, W, 4] or null

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>&) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int64_t image = tile.index / parts(), first = image * pixels + tile.index % parts() * kItems;
    tile.for_each(int32_t(min((image + 1) * pixels - first, int64_t(kItems))), [&](Int i, Mask active) {
      const Float given_u = gather(uv + 2 * first, i << 1, active),
                  given_v = gather(uv + 2 * first + 1, i << 1, active);
      const Float u = turned(given_u, wrap), v = turned(given_v, wrap);
      Footprint<Float> f{};
      Float lod(0.0f);
      if (uv_da && levels > 1) {
        f = this->template footprint<Float>(first, i, active);
        lod = lod_of(f.longer);
      }
      const Int lower = floor_int(lod);
      const Float part = lod - to_float(lower);
      Float by_u(0.0f), by_v(0.0f), by_lod(0.0f);
      tile.for_unique(lower, active, [&](int32_t l, Mask same) {
        Slopes<Float> slopes{Float(0.0f), Float(0.0f), Float(0.0f)};
        const Mask between = same & (part > Float(0.0f));
        const bool blends = any(between) && l + 1 < levels;
        add_level(image, l, first, i, u, v, Float(1.0f) - part, same, -1.0f, slopes);
        if (blends) add_level(image, l + 1, first, i, u, v, part, between, 1.0f, slopes);
        by_u = select(same, slopes.u, by_u);
        by_v = select(same, slopes.v, by_v);
        by_lod = select(between, slopes.lod, by_lod);
      });
      if (grad_uv) {  // zero where `turned` holds a coordinate
        scatter(grad_uv + 2 * first, i << 1, select(abs(given_u) < Float(8192.0f), by_u, Float(0.0f)), active);
        scatter(grad_uv + 2 * first + 1, i << 1, select(abs(given_v) < Float(8192.0f), by_v, Float(0.0f)), active);
      }
      if (grad_uv_da) add_footprint(first, i, f, by_lod, active);
    });
  }

 private:
  template <class Float>
  struct Slopes {
    Float u, v, lod;  // of the loss
  };

  // One level's part; `share` of it is in the value, which its change of lod enters with `sign`.
  template <class Float, class Int, class Mask>
  FS_KERNEL void add_level(int64_t image, int32_t l, int64_t first, Int i, Float u, Float v, Float share, Mask active,
                           float sign, Slopes<Float>& slopes) const {
    const auto p = this->template places<Float, Int>(l, u, v);
    const Float px = p.part_x, py = p.part_y;
    const Float scaled = share * Float(power_of_two(unit_exponent(as_float(*bound), bits)));
    const Float weights[4] = {scaled * (Float(1.0f) - px) * (Float(1.0f) - py), scaled * px * (Float(1.0f) - py),
                              scaled * (Float(1.0f) - px) * py, scaled * px * py};
    const bool gathers = grad_uv || grad_uv_da;
    const int32_t taps = nearest ? 1 : 4;
    Float by_x(0.0f), by_y(0.0f), value(0.0f);
    for (int32_t c = 0; c < channels; ++c) {
      const Float g = gather(grad + first * channels + c, multiply(i, Int(channels)), active);
      if (sum)
        for (int32_t k = 0; k < taps; ++k)
          scatter_add(sum + level_first[l] + image * level_stride[l] + c, p.at[k], g * (nearest ? scaled : weights[k]),
                      active);
      if (!gathers) continue;
      const float* values = level[l] + image * level_stride[l] + c;
      const Float t0 = gather(values, p.at[0], active);
      if (nearest) {
        value = value + g * t0;
        continue;
      }
      const Float t1 = gather(values, p.at[1], active), t2 = gather(values, p.at[2], active),
                  t3 = gather(values, p.at[3], active);
      const Float along_upper = t1 - t0, along_lower = t3 - t2;
      const Float upper = t0 + px * along_upper, lower = t2 + px * along_lower;
      value = value + g * (upper + py * (lower - upper));
      by_x = by_x + g * (along_upper + py * (along_lower - along_upper));
      by_y = by_y + g * (lower - upper);
    }
    slopes.u = slopes.u + share * by_x * Float(float(level_width[l]));
    slopes.v = slopes.v + share * by_y * Float(float(level_height[l]));
    slopes.lod = slopes.lod + Float(sign) * value;
  }

  // lod = log2(longer) / 2: the axis that is the longer one receives 1 / (2 ln 2 longer) of each square's slope.
  template <class Float, class Int, class Mask>
  FS_KERNEL void add_footprint(int64_t first, Int i, const Footprint<Float>& f, Float by_lod, Mask active) const {
    const Float each = by_lod * Float(1.44269504f) / max(f.longer, Float(1e-12f));
    const Mask a_longer = f.a > f.b;
    const Float for_a = select(a_longer, each, Float(0.0f)), for_b = select(a_longer, Float(0.0f), each);
    const Float width{float(level_width[0])}, height{float(level_height[0])};
    float* to = grad_uv_da + 4 * first;
    scatter(to, i << 2, for_a * f.ax * width, active);
    scatter(to + 1, i << 2, for_b * f.bx * width, active);
    scatter(to + 2, i << 2, for_a * f.ay * height, active);
    scatter(to + 3, i << 2, for_b * f.by * height, active);
  }
};

}  // namespace fastsynth
