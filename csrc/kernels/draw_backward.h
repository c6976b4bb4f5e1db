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

#include "look_backward.h"

namespace fastsynth {

// `Kernel` gives lights_at(image), how many numbers a row of its sums has, what lies behind everything, and whether the
// gradient of that goes elsewhere than to the background's colours or photograph.
template <class Kernel>
struct DrawBackwardOf : DrawGradients {
  static constexpr int kPartNumbers = 8, kPartLanes = 256;
  template <class Tile>
  struct Shared {
    float part[kPartNumbers][kPartLanes];
  };
  template <class Tile>
  static constexpr int lanes() {
    return 128;
  }

  FS_HD int64_t tiles() const { return int64_t(scene.images) * (scene.instances + 1); }

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>& shared) const {
    using Float = typename Tile::Float;
    const int64_t image = tile.index / (scene.instances + 1);
    const int32_t slot = int32_t(tile.index % (scene.instances + 1));
    const int numbers = static_cast<const Kernel*>(this)->numbers();
    Float row[Kernel::kMostNumbers];
    for (int k = 0; k < numbers; ++k) row[k] = Float(0.0f);
    const Imaging imaging = imaging_of(*this, image);
    if (slot == scene.instances) {
      if (wanted & (kWantBackground | kWantGain | Kernel::kWantBehind)) background(tile, image, imaging, row);
    } else {
      const int32_t* box = seen + 5 * (image * scene.instances + slot);
      const auto lights = static_cast<const Kernel*>(this)->lights_at(image);
      const Eye eye = eye_of(*this, image);
      if (box[4] > 0 && (wanted & ~kWantBackground))
        for_blocks<Tile>(tile, box, [&](int32_t left, int32_t top) {
          surface_block(tile, image, slot, imaging, lights, eye, left, top, row);
        });
    }
    tile.sum_lanes(shared.part, row, numbers, rows + tile.index * numbers);
  }

 private:
  // Calls body(left, top) for the blocks of the picture that touch a box, its last row and column included.
  template <class Tile, class F>
  FS_KERNEL void for_blocks(Tile& tile, const int32_t* box, F&& body) const {
    constexpr int kBlock = Tile::kBlock;
    const int32_t left = max(box[0], 0) / kBlock, top = max(box[1], 0) / kBlock;
    const int32_t across = max(min(box[2], width - 1) / kBlock - left + 1, 0);
    const int32_t down = max(min(box[3], height - 1) / kBlock - top + 1, 0);
    tile.for_one(across * down, [&](int32_t i) { body((left + i % across) * kBlock, (top + i / across) * kBlock); });
  }

  // Row by row, as the picture lies in memory.
  template <class Tile>
  FS_KERNEL void background(Tile& tile, int64_t image, const Imaging& imaging, typename Tile::Float* row) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const Float one(1.0f);
    const int64_t pixels = int64_t(width) * height;
    const int32_t photo = valid_row(look.photo_id[image], look.photos.count);
    tile.for_groups(height, width, [&](int32_t y, Int x, Mask active) {
      const int64_t first = int64_t(y) * width;
      const Mask empty = active & (load_run(instance_id + image * pixels + first, x, active) < Int(0));
      if (!any(empty)) return;
      const RowSums<Float, Mask> sums{row, empty, wanted};
      const float* of = grad + 3 * image * pixels + first;
      const Vec3<Float> g{load_run(of, x, active), load_run(of + pixels, x, active),
                          load_run(of + 2 * pixels, x, active)};
      const Float across = (to_float(x) + Float(0.5f)) * Float(1.0f / float(width)),
                  down((float(y) + 0.5f) * (1.0f / float(height)));
      const Kernel& kernel = *static_cast<const Kernel*>(this);
      const Vec3<Float> c = kernel.behind(image, to_float(x), Float(float(y)), empty);
      const Vec3<Float> back = developed_backward(*this, imaging, c, g, sums);
      if (kernel.behind_backward(image, to_float(x), Float(float(y)), back, sums)) return;
      if (!(wanted & kWantBackground)) return;
      if (photo < 0) {
        sums.add(kBackgroundRow, back * (one - down));
        sums.add(kBackgroundRow + 3, back * down);
        return;
      }
      const Uv<Float> uv = photo_uv(look, image, across, down, float(width), float(height));
      LookupBackward<Float, Int> lookup;
      lookup.read(look.photos, photo, uv, look.mips != 0, empty);
      Uv<Float> to{Float(0.0f), Float(0.0f), Float(0.0f), Float(0.0f), Float(0.0f), Float(0.0f)};
      lookup.to_uv(back, look.tone != kToneLinear, look.photos.info + 4 * photo, uv, to);
      const Float by_width = to.u_x * Float(1.0f / float(width)), by_height = to.v_y * Float(1.0f / float(height));
      sums.add(kCropRow, to.u * (one - across) - by_width);
      sums.add(kCropRow + 1, to.v * (one - down) - by_height);
      sums.add(kCropRow + 2, to.u * across + by_width);
      sums.add(kCropRow + 3, to.v * down + by_height);
    });
  }

  template <class Tile, class L>
  FS_KERNEL void surface_block(Tile& tile, int64_t image, int32_t n, const Imaging& imaging, const L& lights,
                               const Eye& eye, int32_t left, int32_t top, typename Tile::Float* row) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const Picture<Tile> picture(*this, image, left, top);
    const Int face = picture.triangle(picture.inside);
    const Int own = select(picture.inside, picture.known(picture.instance(picture.inside), face), Int(-2));
    const Mask same = own == Int(n);
    if (!any(same)) return;
    const int64_t instance = image * scene.instances + n;
    const Prepared& p = prepared[instance];
    const MetFace<Tile> met(*this, image, p, face, picture.ndc_x(), picture.ndc_y(), same);
    const Vec3<Float> g = picture.color(grad, 0, 0, same);
    // Of the material point in clip space.
    Vec3<Float> moved = zero_vector<Float>();
    if (wanted & kWantPose) moved = edges(tile, *this, rgb, grad, image, n, picture, met, own, face, g, same);
    tile.for_unique(met.seen.material, same, [&](int32_t material, Mask lanes) {
      const RowSums<Float, Mask> sums{row, lanes, wanted};
      const Vec3<Float> by_look = look_backward(tile, *this, imaging, instance, material, lights, eye, p, met, g, sums);
      moved = {select(lanes, moved.x + by_look.x, moved.x), select(lanes, moved.y + by_look.y, moved.y),
               select(lanes, moved.z + by_look.z, moved.z)};
    });
    const Mask sound = same & met.plane.sound;
    if (wanted & kWantPose) RowSums<Float, Mask>{row, sound, wanted}.add_point(kClipRow, moved, met.seen.position);
  }
};

struct DrawBackward : DrawBackwardOf<DrawBackward> {
  static constexpr int kMostNumbers = kMaxRow, kWantBehind = 0;
  FS_HD int numbers() const { return row_size(look.lights); }
  FS_KERNEL Lights lights_at(int64_t image) const { return lights_of(*this, image); }
  template <class T, class M>
  FS_KERNEL Vec3<T> behind(int64_t image, T x, T y, M active) const {
    return background_radiance(look, image, x, y, float(width), float(height), active);
  }
  template <class T, class M>
  FS_KERNEL bool behind_backward(int64_t, T, T, Vec3<T>, const RowSums<T, M>&) const {
    return false;
  }
};

}  // namespace fastsynth
