// Triangles given in clip space to fragments: what is seen at each pixel, its barycentrics and depth.
//
// Three kernels: corners are snapped once; runs of kRun faces get their bounds; tiles skip the runs that do not reach
// them. The third is there twice: for what is seen, and for what is seen behind a layer that was.
#pragma once

#include "raster.h"
#include "sums.h"

namespace fastsynth {

constexpr int kRun = 64;  // faces culled together

struct ClipView {
  const float* clip;      // [B, V, 4]
  const int32_t* faces;   // [F, 3]
  const int32_t* ranges;  // [B, 2] first face, number of faces; or null: all faces in every image
  int32_t images, vertices, face_count;
  int32_t corner_images;  // 1 = all images have the same corners, [1, V] below; or `images`
  int32_t width, height;
  int32_t *x, *y;   // [B, V] snapped
  float* z;         // [B, V] z/w
  int32_t* bounds;  // [B, runs, 4] of each run in pixels, max exclusive
  int32_t* bad;     // [1] 1 + a face that names a vertex that is not there

  FS_HD int32_t runs() const { return (face_count + kRun - 1) / kRun; }
  FS_HD int64_t first_corner(int64_t image) const { return corner_images == 1 ? 0 : image * vertices; }
  // An image's faces, end exclusive.
  FS_HD int32_t begin(int64_t image) const { return ranges ? max(ranges[2 * image], 0) : 0; }
  FS_HD int32_t end(int64_t image) const {
    if (!ranges) return face_count;
    const int64_t past = int64_t(ranges[2 * image]) + ranges[2 * image + 1];
    return int32_t(max(min(past, int64_t(face_count)), int64_t(0)));
  }
};

struct SnapCorners : ClipView {
  static constexpr int kItems = 4096;
  template <class Tile>
  struct Shared {};
  template <class Tile>
  static constexpr int lanes() {
    return 256;
  }
  FS_HD int64_t tiles() const { return (int64_t(corner_images) * vertices + kItems - 1) / kItems; }

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>&) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int64_t first = tile.index * kItems, total = int64_t(corner_images) * vertices;
    const float* p = clip + 4 * first;
    tile.for_each(int32_t(min(total - first, int64_t(kItems))), [&](Int i, Mask active) {
      const Int at = i << 2;
      const Corner<Float> c{gather(p, at, active), gather(p + 1, at, active), gather(p + 2, at, active),
                            gather(p + 3, at, active)};
      Int sx, sy;
      Float sz;
      snap(c, float(width), float(height), sx, sy, sz, active);
      scatter(x + first, i, sx, active);
      scatter(y + first, i, sy, active);
      scatter(z + first, i, sz, active);
    });
  }
};

struct BoundRuns : ClipView {
  static constexpr int kItems = 64;
  template <class Tile>
  struct Shared {};
  template <class Tile>
  static constexpr int lanes() {
    return kItems;
  }
  FS_HD int64_t tiles() const { return (int64_t(images) * runs() + kItems - 1) / kItems; }

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>&) const {
    const int64_t first = tile.index * kItems, total = int64_t(images) * runs();
    tile.for_one(int32_t(min(total - first, int64_t(kItems))), [&](int32_t k) {
      const int64_t item = first + k, image = item / runs();
      const int32_t of_run = int32_t(item % runs()) * kRun;
      int32_t box[4] = {INT32_MAX, INT32_MAX, INT32_MIN, INT32_MIN};
      for (int32_t face = max(of_run, begin(image)); face < min(of_run + kRun, end(image)); ++face) {
        for (int i = 0; i < 3; ++i) {
          const int32_t v = faces[3 * int64_t(face) + i];
          if (v < 0 || v >= vertices) {
            atomic_max(bad, face + 1);
            continue;
          }
          const int64_t at = first_corner(image) + v;
          if (x[at] == kNotSimple) {  // may reach anywhere once it is clipped
            box[0] = box[1] = INT32_MIN;
            box[2] = box[3] = INT32_MAX;
          }
          box[0] = min(box[0], x[at] == kNotSimple ? box[0] : first_pixel(x[at]));
          box[1] = min(box[1], x[at] == kNotSimple ? box[1] : first_pixel(y[at]));
          box[2] = max(box[2], x[at] == kNotSimple ? box[2] : end_pixel(x[at]));
          box[3] = max(box[3], x[at] == kNotSimple ? box[3] : end_pixel(y[at]));
        }
      }
      for (int i = 0; i < 4; ++i) bounds[4 * item + i] = box[i];
    });
  }
};

// A tile of an image; which of the triangles at a pixel is kept is up to the visibility.
struct RasterizeTile : ClipView {
  template <class Tile>
  static constexpr int lanes() {
    return 256;
  }

  int32_t cull;
  int32_t* triangle_id;  // [B, H, W] out
  float* barycentric;    // [B, H, W, 2] out
  float* depth;          // [B, H, W] out

  FS_HD int32_t tiles_x(int side) const { return (width + side - 1) / side; }
  FS_HD int32_t tiles_y(int side) const { return (height + side - 1) / side; }
  FS_HD int64_t tiles(int side) const { return int64_t(images) * tiles_x(side) * tiles_y(side); }

 protected:
  template <class Tile>
  FS_KERNEL int64_t image_of(const Tile& tile) const {
    return tile.index / (tiles_x(Tile::kSide) * tiles_y(Tile::kSide));
  }
  template <class Tile>
  FS_KERNEL TileFrame frame_of(const Tile& tile) const {
    const int32_t across = tiles_x(Tile::kSide);
    const int32_t place = int32_t(tile.index % (across * tiles_y(Tile::kSide)));
    return {place % across * Tile::kSide, place / across * Tile::kSide, width, height};
  }

  // What `also(pixel, offset of its block in the image's planes, hit, inside)` writes comes with it.
  template <class Tile, class Visibility, class Also>
  FS_KERNEL void draw_tile(Tile& tile, RasterShared<Tile, Visibility>& shared, const Also& also) const {
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int64_t image = image_of(tile);
    const TileFrame frame = frame_of(tile);
    tile.for_each(Tile::kSide * Tile::kSide, [&](Int pixel, Mask) { shared.visibility.clear(pixel); });
    tile.sync();
    Rasterizer<Tile, Visibility> raster{tile, shared, frame, false, nullptr};
    raster.begin();
    const int32_t end_run = (end(image) + kRun - 1) / kRun;
    for (int32_t run = begin(image) / kRun; run < end_run; run += Tile::kGroup) {
      if constexpr (Tile::kCooperative) {
        raster.clear_queues();
        tile.sync();
      }
      tile.for_groups(min(int32_t(Tile::kGroup), end_run - run), kRun, [&](int32_t g, Int k, Mask active) {
        const int32_t* box = bounds + 4 * (image * runs() + run + g);
        if (box[0] >= frame.left + Tile::kSide || box[1] >= frame.top + Tile::kSide || box[2] <= frame.left ||
            box[3] <= frame.top)
          return;
        draw_faces(raster, image, k + Int((run + g) * kRun), active);
      });
      if constexpr (Tile::kCooperative) {
        tile.sync();
        raster.draw_queues(Solid<Tile>{});
      }
      tile.sync();
    }
    raster.finish();
    tile.for_each(Tile::kSide * Tile::kSide, [&](Int pixel, Mask) { write(tile, shared, frame, image, pixel, also); });
  }

 private:
  template <class Tile>
  struct Solid {
    struct Nothing {
      FS_KERNEL typename Tile::Mask operator()(typename Tile::Int, typename Tile::Int,
                                               typename Tile::Mask inside) const {
        return inside;
      }
    };
    FS_KERNEL Nothing operator()(int32_t) const { return {}; }
  };

  template <class Tile, class Visibility, class Int, class Mask>
  FS_KERNEL void draw_faces(Rasterizer<Tile, Visibility>& raster, int64_t image, Int face, Mask active) const {
    using Float = typename Tile::Float;
    const int64_t base = first_corner(image);
    active = active & (face < Int(end(image)));
    if (ranges) active = active & (face >= Int(begin(image)));
    const Int at = face + face + face;
    Int sx[3], sy[3];
    Float sz[3];
    for (int i = 0; i < 3; ++i) {
      const Int v = gather(faces + i, at, active);
      active = active & (v >= Int(0)) & (v < Int(vertices));
      sx[i] = gather(x + base, v, active);
      sy[i] = gather(y + base, v, active);
      sz[i] = gather(z + base, v, active);
    }
    if (!any(active)) return;
    const auto corners = [&](int32_t f, Corner<float>* polygon) {
      for (int i = 0; i < 3; ++i) {
        const float* c = clip + 4 * (base + faces[3 * int64_t(f) + i]);
        polygon[i] = {c[0], c[1], c[2], c[3]};
      }
      return 1.0f;
    };
    // Positive area is clockwise as seen: the back.
    const auto culled = [&](Mask positive, Mask drawn) -> Mask {
      if (cull == kCullNone) return Mask(false);
      return drawn & (cull == kCullBack ? positive : mask_not(positive));
    };
    const auto culled_one = [&](bool positive, int32_t) {
      return cull == kCullBack ? positive : cull == kCullFront && !positive;
    };
    raster.draw(active, sx, sy, sz, face, face, Mask(true), corners, culled, culled_one, Solid<Tile>{});
  }

  template <class Tile, class Visibility, class Int, class Also>
  FS_KERNEL void write(Tile&, RasterShared<Tile, Visibility>& shared, const TileFrame& frame, int64_t image, Int pixel,
                       const Also& also) const {
    using Float = typename Tile::Float;
    using Mask = typename Tile::Mask;
    constexpr int kBlocks = Tile::kSide / Tile::kBlock;
    const int32_t block = lead(pixel) / (Tile::kBlock * Tile::kBlock);
    const int32_t left = frame.left + block % kBlocks * Tile::kBlock, top = frame.top + block / kBlocks * Tile::kBlock;
    const Int px = block_x(pixel) + Int(left), py = block_y(pixel) + Int(top);
    const Mask inside = (px < Int(width)) & (py < Int(height));
    if (!any(inside)) return;
    const Int id = select(inside, shared.visibility.id(pixel), Int(-1));
    const Mask hit = id >= Int(0);
    const int64_t first = (image * height + top) * width + left;
    store_block(triangle_id + first, width, id, inside);
    Float w_0(0.0f), w_1(0.0f), depth_here(0.0f);
    if (any(hit)) {
      Vec3<Float> v[3];
      for (int i = 0; i < 3; ++i) {
        const Int at = gather(faces + i, id + id + id, hit) << 2;
        const float* c = clip + 4 * first_corner(image);
        v[i] = {gather(c, at, hit), gather(c + 1, at, hit), gather(c + 3, at, hit)};
      }
      const float per_x = 2.0f / float(width), per_y = 2.0f / float(height);
      const Float ndc_x = (to_float(px) + Float(0.5f)) * Float(per_x) - Float(1.0f),
                  ndc_y = (to_float(py) + Float(0.5f)) * Float(per_y) - Float(1.0f);
      const Hit<Float> h = intersect(v[0], v[1], v[2], ndc_x, ndc_y, per_x, per_y);
      w_0 = select(hit, h.w0, w_0);
      w_1 = select(hit, h.w1, w_1);
      depth_here = select(hit, h.depth, depth_here);
    }
    const Int lanes_x = block_x(pixel), at = multiply(block_y(pixel), Int(2 * width)) + lanes_x + lanes_x;
    scatter(barycentric + 2 * first, at, w_0, inside);
    scatter(barycentric + 2 * first + 1, at, w_1, inside);
    store_block(depth + first, width, depth_here, inside);
    also(pixel, first, hit, inside);
  }
};

struct RasterizeClip : RasterizeTile {
  template <class Tile>
  struct Shared {
    RasterShared<Tile> raster;
  };

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>& shared) const {
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    draw_tile(tile, shared.raster, [](Int, int64_t, Mask, Mask) {});
  }
};

// Keeps the nearest of what lies behind a layer: what comes after it in the order of z/w and, at equal z/w, of numbers.
template <class Tile>
struct NearestBehind : NearestOfTile<Tile> {
  using Float = typename Tile::Float;
  using Int = typename Tile::Int;
  using Mask = typename Tile::Mask;

  const int32_t* layer_id;  // [H, W] of the layer, -1 where it has nothing and so nothing lies behind it; or null: all
  const float* layer_z;     // [H, W] its z/w
  TileFrame frame;

  FS_KERNEL void update(int32_t first, Mask inside, Float z, int32_t id) {
    const Int pixel = Int(first) + (block_y(Int()) << kShift) + block_x(Int());
    NearestOfTile<Tile>::update(first, behind(pixel, inside, z, Int(id)), z, id);
  }
  FS_KERNEL void update_each(Int pixel, Mask inside, Float z, Int id) {
    NearestOfTile<Tile>::update_each(pixel, behind(pixel, inside, z, id), z, id);
  }
  FS_KERNEL Float z(Int pixel, Mask active) const {
    const Int bits = gather(reinterpret_cast<const int32_t*>(this->key) + 1, pixel << 1, active);  // little-endian
    return as_float(bits ^ ((bits >> 31) & Int(INT32_MAX)));
  }

 private:
  static constexpr int log2(int n) { return n <= 1 ? 0 : 1 + log2(n / 2); }
  static constexpr int kShift = log2(Tile::kBlock), kBlocks = Tile::kSide / Tile::kBlock;

  FS_KERNEL Mask behind(Int pixel, Mask inside, Float z, Int id) const {
    if (!layer_id) return inside;
    const Int block = pixel >> (2 * kShift);
    const Int x = Int(frame.left) + ((block & Int(kBlocks - 1)) << kShift) + (pixel & Int(Tile::kBlock - 1));
    const Int y = Int(frame.top) + ((block >> log2(kBlocks)) << kShift) + ((pixel >> kShift) & Int(Tile::kBlock - 1));
    inside = inside & (x < Int(frame.width)) & (y < Int(frame.height));
    const Int at = multiply(y, Int(frame.width)) + x;
    const Int front = gather(layer_id, at, inside);
    const Int depth = ordered_depth(z), front_depth = ordered_depth(gather(layer_z, at, inside));
    // Where a clipped triangle's parts overlap it still is one surface, and is not behind itself.
    const Mask after = (depth > front_depth) | ((depth == front_depth) & (id > front));
    return inside & (front >= Int(0)) & mask_not(id == front) & after;
  }
};

// The next layer: the nearest triangle behind the one that was seen.
struct RasterizeLayer : RasterizeTile {
  template <class Tile>
  struct Shared {
    RasterShared<Tile, NearestBehind<Tile>> raster;
  };

  const int32_t* layer_id;  // [B, H, W] or null
  const float* layer_z;     // [B, H, W] or null
  float* z_over_w;          // [B, H, W] out; 0 on the background

  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>& shared) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    NearestBehind<Tile>& visibility = shared.raster.visibility;
    tile.for_one(1, [&](int32_t) {
      const int64_t first = image_of(tile) * width * height;
      visibility.layer_id = layer_id ? layer_id + first : nullptr;
      visibility.layer_z = layer_z ? layer_z + first : nullptr;
      visibility.frame = frame_of(tile);
    });
    draw_tile(tile, shared.raster, [&](Int pixel, int64_t first, Mask hit, Mask inside) {
      store_block(z_over_w + first, width, select(hit, visibility.z(pixel, hit), Float(0.0f)), inside);
    });
  }
};

// Launched twice: to find the bound of each corner's sums, and to add. A triangle that is seen nearly edge-on has slopes
// that no bound over all would leave room for.
struct RasterizeAdjoint : ItemKernel<4096> {
  const float* clip;              // [B, V, 4]
  const int32_t* faces;           // [F, 3]
  const int32_t* triangle_id;     // [B, H, W]
  const float* grad_barycentric;  // [B, H, W, 2]
  const float* grad_depth;        // [B, H, W]
  int32_t images, vertices, face_count, width, height;
  int32_t adds, bits;  // the second time; of the number of terms
  int32_t* bound;      // [B, V, 4]
  int64_t* sum;        // [B, V, 4]

  FS_HD int64_t pixels() const { return int64_t(height) * width; }
  FS_HD int64_t parts() const { return tiles_for(pixels()); }
  FS_HD int64_t tiles() const { return images * parts(); }
  template <class Tile>
  FS_KERNEL void operator()(Tile& tile, Shared<Tile>&) const {
    using Float = typename Tile::Float;
    using Int = typename Tile::Int;
    using Mask = typename Tile::Mask;
    const int64_t image = tile.index / parts(), begin = tile.index % parts() * kItems, first = image * pixels() + begin;
    const float* c = clip + 4 * image * vertices;
    const int32_t column = int32_t(begin % width), row = int32_t(begin / width);
    tile.for_each(int32_t(min(pixels() - begin, int64_t(kItems))), [&](Int i, Mask active) {
      const Int id = gather(triangle_id + first, i, active);
      Mask hit = active & (id >= Int(0)) & (id < Int(face_count));
      if (!any(hit)) return;
      Vec3<Float> v[3];
      for (int k = 0; k < 3; ++k) {
        const Int corner = gather(faces + k, id + id + id, hit);
        hit = hit & (corner >= Int(0)) & (corner < Int(vertices));
        const Int at = corner << 2;
        v[k] = {gather(c, at, hit), gather(c + 1, at, hit), gather(c + 3, at, hit)};
      }
      const Int at = i + Int(column), down = floor_int((to_float(at) + Float(0.5f)) / Float(float(width)));
      const Int px = at - multiply(down, Int(width)), py = down + Int(row);
      const float per_x = 2.0f / float(width), per_y = 2.0f / float(height);
      const Float ndc_x = (to_float(px) + Float(0.5f)) * Float(per_x) - Float(1.0f),
                  ndc_y = (to_float(py) + Float(0.5f)) * Float(per_y) - Float(1.0f);
      const float* by = grad_barycentric + 2 * first;
      const auto g = intersect_adjoint(v[0], v[1], v[2], ndc_x, ndc_y, gather(by, i << 1, hit),
                                       gather(by + 1, i << 1, hit), gather(grad_depth + first, i, hit));
      tile.for_unique(id, hit, [&](int32_t face, Mask same) {
        for (int k = 0; k < 3; ++k) {
          const int64_t to = 4 * (image * vertices + faces[3 * int64_t(face) + k]);
          this->template take<Tile>(to, g.v[k].x, same);
          this->template take<Tile>(to + 1, g.v[k].y, same);
          this->template take<Tile>(to + 3, g.v[k].z, same);
        }
      });
    });
  }

 private:
  template <class Tile, class Float, class Mask>
  FS_KERNEL void take(int64_t to, Float term, Mask active) const {
    if (!adds) return atomic_max(bound + to, most_over(magnitude_bits(term), active));
    const Float scale(power_of_two(unit_exponent(as_float(bound[to]), bits)));
    add_terms<Tile>(sum + to, term * scale, active);
  }
};

}  // namespace fastsynth
