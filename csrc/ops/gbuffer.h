// What the surfaces that are seen are made of, and the light that comes to them.
#pragma once

#include "draw_lit.h"

namespace fastsynth {

// Bits of `outputs`, in the order in which fastsynth/ops/gbuffer.py names them.
enum GbufferOutput { kBaseColor, kMetallicRoughness, kIrradiance, kSpecular, kMaterialId };

// assets, scene: as of draw(). lighting and what follows it: as of draw_lit(), or no tensors. What is not asked for comes
// back as [0].
template <class Schedule>
std::vector<Tensor> gbuffer(std::vector<Tensor> assets, std::vector<Tensor> scene, std::vector<Tensor> lighting,
                            Tensor instance_id, Tensor triangle_id, int64_t outputs, int64_t casters,
                            int64_t panorama_side, int64_t shading, int64_t tone, bool mips, double near, double lod) {
  GbufferView k{};
  const std::vector<Tensor> no_photos(assets.end() - 3, assets.end());
  static_cast<DrawView&>(k) = draw_view(assets, scene, no_photos, 0, shading, tone, mips, near);
  k.height = int_size(instance_id, 1);
  k.width = int_size(instance_id, 2);
  k.grid = 1;
  k.instance_id = const_cast<int32_t*>(read<int32_t>(instance_id));
  k.triangle_id = const_cast<int32_t*>(read<int32_t>(triangle_id));
  const Tensor& like = scene[1];
  const int64_t b = k.scene.images, h = k.height, w = k.width;
  std::vector<Tensor> out;
  out.reserve(5);
  const auto add = [&](GbufferOutput o, std::vector<int64_t> shape, auto* type, ScalarType scalar) {
    const bool wanted = (outputs >> o & 1) != 0;
    out.push_back(Schedule::output(like, wanted ? shape : std::vector<int64_t>{0}, scalar));
    return out.back().numel() ? static_cast<decltype(type)>(out.back().mutable_data_ptr()) : nullptr;
  };
  k.base_color = add(kBaseColor, {b, 3, h, w}, (float*)nullptr, ScalarType::Float);
  k.metallic_roughness = add(kMetallicRoughness, {b, 2, h, w}, (float*)nullptr, ScalarType::Float);
  k.irradiance = add(kIrradiance, {b, 3, h, w}, (float*)nullptr, ScalarType::Float);
  k.specular = add(kSpecular, {b, 3, h, w}, (float*)nullptr, ScalarType::Float);
  k.material_id = add(kMaterialId, {b, h, w}, (int32_t*)nullptr, ScalarType::Int);
  Tensor prepared = make(like, {b * k.scene.instances, int64_t(sizeof(Prepared))}, ScalarType::Byte);
  k.prepared = reinterpret_cast<Prepared*>(write<uint8_t>(prepared));
  Tensor flags = make_zeros(like, {1}, ScalarType::Int);
  Schedule::run(like, Prepare{k.assets, k.scene, k.width, k.height, float(lod), const_cast<Prepared*>(k.prepared),
                              write<int32_t>(flags)});
  if (lighting.empty()) {
    Gbuffer plain{};
    static_cast<GbufferView&>(plain) = k;
    Schedule::run(like, plain);
  } else {
    GbufferLit lit{};
    static_cast<GbufferView&>(lit) = k;
    lit.lighting = lighting_view(lighting, k.scene, k.look, casters, panorama_side, false);
    Schedule::run(like, lit);
  }
  return out;
}

}  // namespace fastsynth
