// The fused forward path, from packed assets and a scene's tensors to the outputs that were asked for.
#pragma once

#include "../kernels/all.h"
#include "sums.h"
#include "tensor.h"

namespace fastsynth {

inline Textures texture_view(const Tensor& texels, const Tensor& info, const Tensor& offsets) {
  return {reinterpret_cast<const int32_t*>(read<uint8_t>(texels)), read<int32_t>(info), read<int32_t>(offsets),
          int_size(info, 0)};
}

// Bits of `outputs`, in the order in which fastsynth/ops/draw.py names them.
enum Output {
  kRgb,
  kInstance,
  kTriangle,
  kSemantic,
  kDepth,
  kDistance,
  kNormals,
  kObject,
  kUv,
  kTight,
  kLoose,
  kTotal,
  kAmodal,
  kOutputs
};

// The tensors of the data model, in the order of fastsynth/ops/draw.py, as a kernel reads them.
inline DrawView draw_view(const std::vector<Tensor>& assets, const std::vector<Tensor>& scene,
                          const std::vector<Tensor>& photos, int64_t face_bits, int64_t shading, int64_t tone,
                          bool mips, double near) {
  STD_TORCH_CHECK(assets.size() == 16 && scene.size() == 21 && photos.size() == 3,
                  "fastsynth::draw: wrong number of tensors.");
  DrawView d{};
  AssetView& a = d.assets;
  a.vertex_data = read<float>(assets[0]);
  a.vertex_colors = reinterpret_cast<const int32_t*>(read_or_null<uint8_t>(assets[1]));
  a.faces = read<int32_t>(assets[2]);
  a.meshlets = read<int32_t>(assets[3]);
  a.meshlet_bounds = read<float>(assets[4]);
  a.levels = read<int32_t>(assets[5]);
  a.level_error = read<float>(assets[6]);
  a.meshes = read<int32_t>(assets[7]);
  a.mesh_bounds = read<float>(assets[8]);
  d.mesh_class = read<int32_t>(assets[9]);
  a.hull = read<float>(assets[10]);
  a.materials = read<float>(assets[11]);
  a.material_textures = read<int32_t>(assets[12]);
  a.textures = texture_view(assets[13], assets[14], assets[15]);
  a.mesh_count = int_size(assets[7], 0);
  a.face_count = int_size(assets[2], 0);

  SceneView& s = d.scene;
  s.images = int_size(scene[0], 0);
  s.instances = int_size(scene[0], 1);
  s.mesh_id = read<int32_t>(scene[0]);
  s.world_from_object = read<float>(scene[1]);
  s.intrinsics = read<float>(scene[2]);
  s.camera_from_world = read<float>(scene[3]);
  s.near = float(near);
  s.layer = read_or_null<int32_t>(scene[19]);
  LookView& k = d.look;
  k.lights = int_size(scene[4], 1);
  k.light_kind = read<int32_t>(scene[4]);
  k.light_position = read<float>(scene[5]);
  k.light_direction = read<float>(scene[6]);
  k.light_color = read<float>(scene[7]);
  k.light_cone = read<float>(scene[8]);
  k.ambient = read<float>(scene[9]);
  k.base_color = read<float>(scene[10]);
  k.metallic = read<float>(scene[11]);
  k.roughness = read<float>(scene[12]);
  k.texture_id = read<int32_t>(scene[13]);
  k.background_color = read<float>(scene[14]);
  k.photo_id = read<int32_t>(scene[15]);
  k.photo_crop = read<float>(scene[16]);
  k.exposure = read<float>(scene[17]);
  k.white_balance = read<float>(scene[18]);
  k.color_matrix = read_or_null<float>(scene[20]);
  k.photos = texture_view(photos[0], photos[1], photos[2]);
  k.shading = int32_t(shading);
  k.tone = int32_t(tone);
  k.mips = mips;

  d.face_bits = int32_t(face_bits);
  return d;
}

// assets, scene, photos: as above. `traced` is only of use to the gradients. Behind the outputs come the flags.
template <class Schedule>
std::vector<Tensor> draw(std::vector<Tensor> assets, std::vector<Tensor> scene, std::vector<Tensor> photos,
                         std::vector<Tensor> /*traced*/, int64_t height, int64_t width, int64_t grid, int64_t face_bits,
                         int64_t outputs, int64_t shading, int64_t tone, bool mips, bool linear, bool bytes,
                         double near, double lod) {
  DrawView d = draw_view(assets, scene, photos, face_bits, shading, tone, mips, near);
  const SceneView& s = d.scene;
  const AssetView& a = d.assets;
  const Tensor& like = scene[1];
  const int64_t b = s.images, n = s.instances;
  const auto wants = [&](Output o) { return (outputs >> o & 1) != 0; };
  std::vector<Tensor> out;
  const auto add = [&](Output o, std::vector<int64_t> shape, ScalarType type, bool zeroed = false) -> Tensor* {
    if (!wants(o)) shape = {0};
    out.push_back(zeroed && wants(o) ? make_zeros(like, shape, type) : Schedule::output(like, shape, type));
    return wants(o) ? &out.back() : nullptr;
  };
  out.reserve(kOutputs + 1);
  const int64_t h = height, w = width;
  Tensor* rgb = add(kRgb, {b, 3, h, w}, bytes ? ScalarType::Byte : ScalarType::Float);
  Tensor* instance = add(kInstance, {b, h, w}, ScalarType::Int);
  Tensor* triangle = add(kTriangle, {b, h, w}, ScalarType::Int);
  Tensor* semantic = add(kSemantic, {b, h, w}, ScalarType::Int);
  Tensor* depth = add(kDepth, {b, h, w}, ScalarType::Float);
  Tensor* distance = add(kDistance, {b, h, w}, ScalarType::Float);
  Tensor* normals = add(kNormals, {b, 3, h, w}, ScalarType::Float);
  Tensor* object = add(kObject, {b, 3, h, w}, ScalarType::Float);
  Tensor* uv = add(kUv, {b, 2, h, w}, ScalarType::Float);
  Tensor* seen = add(kTight, {b, n, 5}, ScalarType::Int);
  Tensor* loose = add(kLoose, {b, n, 4}, ScalarType::Float);
  Tensor* total = add(kTotal, {b, n}, ScalarType::Int, true);
  Tensor* amodal = add(kAmodal, {b, n, h, w}, ScalarType::Bool, true);

  Tensor prepared_bytes = make(like, {b * n, int64_t(sizeof(Prepared))}, ScalarType::Byte);
  Prepared* prepared = reinterpret_cast<Prepared*>(write<uint8_t>(prepared_bytes));
  Tensor flags = make_zeros(like, {2}, ScalarType::Int);  // 1 + an instance without its mesh; triangles drawn alone
  d.prepared = prepared;
  Schedule::run(like, Prepare{a, s, int32_t(w), int32_t(h), float(lod), prepared, write<int32_t>(flags)});
  Schedule::refuse(flags, "render: `mesh_id` names a mesh that the assets do not have, in instance slot ", n,
                   " (flattened [B, N], first counted 1). Use rows of `assets.meshes`, or -1 for an empty slot.");
  d.alone = write<int32_t>(flags) + 1;

  const auto as = [](Tensor* t, auto* type) {
    return t && t->numel() ? static_cast<decltype(type)>(t->mutable_data_ptr()) : nullptr;
  };
  const bool labels_with_color = grid == 1;
  Draw labels{d};
  labels.width = int32_t(w);
  labels.height = int32_t(h);
  labels.grid = 1;
  labels.instance_id = as(instance, (int32_t*)nullptr);
  labels.triangle_id = as(triangle, (int32_t*)nullptr);
  labels.semantic_id = as(semantic, (int32_t*)nullptr);
  labels.depth = as(depth, (float*)nullptr);
  labels.distance = as(distance, (float*)nullptr);
  labels.normals = as(normals, (float*)nullptr);
  labels.object_coordinates = as(object, (float*)nullptr);
  labels.uv = as(uv, (float*)nullptr);
  labels.seen = as(seen, (int32_t*)nullptr);
  labels.total = as(total, (int32_t*)nullptr);
  labels.amodal = as(amodal, (uint8_t*)nullptr);
  const auto give_color = [&](Draw& to) {
    to.linear = linear;
    to.rgb_byte = bytes ? as(rgb, (uint8_t*)nullptr) : nullptr;
    to.rgb_float = bytes ? nullptr : as(rgb, (float*)nullptr);
  };
  if (labels.seen) Schedule::run(like, ClearSeen{labels.seen, b * n});
  if (labels_with_color) give_color(labels);
  constexpr int64_t kColorOrBoxes = int64_t{1} << kRgb | int64_t{1} << kLoose;
  if (labels_with_color ? (outputs & ~(int64_t{1} << kLoose)) != 0 : (outputs & ~kColorOrBoxes) != 0)
    Schedule::run(like, labels);
  if (!labels_with_color && rgb) {
    Draw color{d};
    color.width = int32_t(w * grid);
    color.height = int32_t(h * grid);
    color.grid = int32_t(grid);
    give_color(color);
    Schedule::run(like, color);
  }
  if (loose && loose->numel())
    Schedule::run(like, LooseBoxes{a, s, prepared, int32_t(w), int32_t(h), write<float>(*loose)});
  out.push_back(flags);
  return out;
}

// Rows of sums (core/adjoint.h) [B, N + 1, numbers], and the texels' gradients [X, 4], or [0, 4], by a kernel whose view
// is filled in. `wanted`: bits of Wanted.
template <class Schedule, class Kernel>
std::vector<Tensor> run_backward(Kernel& k, const std::vector<Tensor>& assets, const std::vector<Tensor>& scene,
                                 const Tensor& rgb, const Tensor& grad, const Tensor& instance_id,
                                 const Tensor& triangle_id, const Tensor& seen, int64_t wanted, bool linear,
                                 double lod) {
  k.height = int_size(rgb, 2);
  k.width = int_size(rgb, 3);
  k.grid = 1;
  k.linear = linear;
  k.rgb = read<float>(rgb);
  k.grad = read<float>(grad);
  k.instance_id = const_cast<int32_t*>(read<int32_t>(instance_id));
  k.triangle_id = const_cast<int32_t*>(read<int32_t>(triangle_id));
  k.seen = const_cast<int32_t*>(read<int32_t>(seen));
  const Tensor& like = scene[1];
  const int64_t b = k.scene.images, n = k.scene.instances;
  Tensor prepared = make(like, {b * n, int64_t(sizeof(Prepared))}, ScalarType::Byte);
  k.prepared = reinterpret_cast<Prepared*>(write<uint8_t>(prepared));
  Tensor flags = make_zeros(like, {1}, ScalarType::Int);
  Schedule::run(like, Prepare{k.assets, k.scene, k.width, k.height, float(lod), const_cast<Prepared*>(k.prepared),
                              write<int32_t>(flags)});
  Tensor rows = make(like, {b, n + 1, k.numbers()}, ScalarType::Float);
  k.rows = write<float>(rows);
  k.wanted = int32_t(wanted);
  if (!(wanted & kWantTexels)) {
    Schedule::run(like, k);
    return {rows, make(like, {0, 4}, ScalarType::Float)};
  }
  const int64_t texels = assets[13].size(0);
  OrderFreeSums<Schedule> sums(like, 4 * texels, 1, kTexelTerms);
  find_largest<Schedule>(grad, sums.bound, 0);
  k.texel_grad = write<int64_t>(sums.sum);
  k.largest = read<int32_t>(sums.bound);
  Schedule::run(like, k);
  return {rows, sums.to_floats({texels, 4})};
}

template <class Schedule>
std::vector<Tensor> draw_backward(std::vector<Tensor> assets, std::vector<Tensor> scene, std::vector<Tensor> photos,
                                  Tensor rgb, Tensor grad, Tensor instance_id, Tensor triangle_id, Tensor seen,
                                  int64_t wanted, int64_t shading, int64_t tone, bool mips, bool linear, double near,
                                  double lod) {
  DrawBackward k{};
  static_cast<DrawView&>(k) = draw_view(assets, scene, photos, 0, shading, tone, mips, near);
  return run_backward<Schedule>(k, assets, scene, rgb, grad, instance_id, triangle_id, seen, wanted, linear, lod);
}

}  // namespace fastsynth
