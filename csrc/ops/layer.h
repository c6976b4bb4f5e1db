// One layer after another of clip-space triangles.
#pragma once

#include "../kernels/all.h"
#include "tensor.h"

namespace fastsynth {

// `clip` may be [1, V, 4] for all images of `ranges`. `layer_id` and `layer_z` are what came back for the layer before,
// or empty: the first.
template <class Schedule>
std::vector<Tensor> rasterize_layer(Tensor clip, Tensor faces, Tensor ranges, Tensor layer_id, Tensor layer_z,
                                    int64_t height, int64_t width, int64_t cull) {
  const int64_t b = ranges.numel() ? ranges.size(0) : clip.size(0), stored = clip.size(0), v = clip.size(1);
  ClipView view{};
  view.clip = read<float>(clip);
  view.faces = read<int32_t>(faces);
  view.ranges = read_or_null<int32_t>(ranges);
  view.images = int32_t(b);
  view.vertices = int_size(clip, 1);
  view.face_count = int_size(faces, 0);
  view.corner_images = int32_t(stored);
  view.width = int32_t(width);
  view.height = int32_t(height);
  Tensor snapped_corners = make(clip, {2, stored, v}, ScalarType::Int);
  Tensor z = make(clip, {stored, v}, ScalarType::Float);
  Tensor bounds = make(clip, {b, view.runs(), 4}, ScalarType::Int);
  Tensor bad = make_zeros(clip, {1}, ScalarType::Int);
  view.x = write<int32_t>(snapped_corners);
  view.y = view.x + stored * v;
  view.z = write<float>(z);
  view.bounds = write<int32_t>(bounds);
  view.bad = write<int32_t>(bad);
  std::vector<Tensor> out = {Schedule::output(clip, {b, height, width}, ScalarType::Int),
                             Schedule::output(clip, {b, height, width, 2}, ScalarType::Float),
                             Schedule::output(clip, {b, height, width}, ScalarType::Float),
                             Schedule::output(clip, {b, height, width}, ScalarType::Float)};
  SnapCorners snap{};
  static_cast<ClipView&>(snap) = view;
  Schedule::run(clip, snap);
  BoundRuns bound{};
  static_cast<ClipView&>(bound) = view;
  Schedule::run(clip, bound);
  Schedule::refuse(bad, "peel(): `faces` names a vertex that does not exist (`clip` has ", v,
                   " per image), in the face of this number, the first counted 1");
  RasterizeLayer draw{};
  static_cast<ClipView&>(draw) = view;
  draw.cull = int32_t(cull);
  draw.triangle_id = write<int32_t>(out[0]);
  draw.barycentric = write<float>(out[1]);
  draw.depth = write<float>(out[2]);
  draw.layer_id = read_or_null<int32_t>(layer_id);
  draw.layer_z = read_or_null<float>(layer_z);
  draw.z_over_w = write<float>(out[3]);
  Schedule::run(clip, draw);
  return out;
}

}  // namespace fastsynth
