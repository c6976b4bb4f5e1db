// Colour of scenes whose light may be kept off, from what Draw has found visible, and its gradients.
#pragma once

#include "draw.h"

namespace fastsynth {

constexpr int kGlossLevels = 9;  // of a panorama: roughness 0, 1/8, ..., 1; fastsynth/environments.py

// `lighting`: in the order of fastsynth/ops/draw_lit.py. `casters`: the lights that have a map, a bit each.
// `panorama_side`: texels along the side of a panorama; `visible`: is it the background?
inline LightingView lighting_view(const std::vector<Tensor>& lighting, const SceneView& scene, const LookView& look,
                                  int64_t casters, int64_t panorama_side, bool visible) {
  STD_TORCH_CHECK(lighting.size() == 8, "fastsynth::draw_lit: wrong number of tensors.");
  LightingView view{};
  int32_t bits = 0;
  for (int32_t i = 0; i < kMaxLights; ++i) bits += int32_t(casters >> i & 1);
  view.count = int_size(lighting[0], 1);
  view.size = int_size(lighting[0], 2);
  view.casters = uint32_t(casters);
  STD_TORCH_CHECK(casters >> look.lights == 0 && bits == view.count && int_size(lighting[0], 0) == scene.images &&
                      lighting[0].size(3) == view.size && lighting[1].numel() == scene.images * bits * kShadowNumbers,
                  "fastsynth::draw_lit: shadow maps do not fit the lights.");
  view.maps = read<float>(lighting[0]);
  view.cameras = read<float>(lighting[1]);
  view.gloss = read<float>(lighting[7]);
  STD_TORCH_CHECK(lighting[7].numel() == scene.images * int64_t(look.lights),
                  "fastsynth::draw_lit: gloss does not fit the lights.");
  view.panoramas = int_size(lighting[2], 0);
  if (view.panoramas == 0) return view;
  const int32_t side = int32_t(panorama_side);
  view.levels = kGlossLevels;
  view.visible = visible;
  int64_t texels = 0;
  for (int model = 0; model < 2; ++model)
    for (int level = model; level < kGlossLevels; ++level) {
      const int32_t texels_across = level == 0 ? side : max(min(side / 2, 64) >> (level - 1), 16);
      // Both models share level 0. Lambert has no gloss, and takes the first.
      if (level == 0 || model == (look.shading == kBlinnPhong)) {
        view.first[level] = int32_t(texels);
        view.sides[level] = texels_across;
      }
      texels += (texels_across + 2) * (texels_across + 2);
    }
  view.texels_each = texels;
  STD_TORCH_CHECK(side >= 32 && side <= 8192 && lighting[2].size(1) == texels && lighting[2].size(2) == 4 &&
                      lighting[3].numel() == 2 * 4 * kReflectanceSide * kReflectanceSide &&
                      lighting[4].numel() == scene.images && lighting[5].numel() == scene.images &&
                      lighting[6].numel() == 2 * scene.images,
                  "fastsynth::draw_lit: panoramas do not fit the images, or their side.");
  view.texels = read<float>(lighting[2]);
  view.reflectance =
      read<float>(lighting[3]) + (look.shading == kBlinnPhong ? 4 * kReflectanceSide * kReflectanceSide : 0);
  view.panorama = read<int32_t>(lighting[4]);
  view.scale = read<float>(lighting[5]);
  view.turn = read<float>(lighting[6]);
  return view;
}

// `instance_id`, `triangle_id` [B, grid H, grid W]: of the samples. `traced`, `seen`: only of use to the gradients.
template <class Schedule>
Tensor draw_lit(std::vector<Tensor> assets, std::vector<Tensor> scene, std::vector<Tensor> photos,
                std::vector<Tensor> /*traced*/, std::vector<Tensor> lighting, Tensor instance_id, Tensor triangle_id,
                Tensor /*seen*/, int64_t grid, int64_t face_bits, int64_t casters, int64_t panorama_side, bool visible,
                int64_t shading, int64_t tone, bool mips, bool linear, bool bytes, double near, double lod) {
  DrawLit k{};
  static_cast<DrawView&>(k) = draw_view(assets, scene, photos, face_bits, shading, tone, mips, near);
  k.lighting = lighting_view(lighting, k.scene, k.look, casters, panorama_side, visible);
  k.height = int_size(instance_id, 1);
  k.width = int_size(instance_id, 2);
  k.grid = int32_t(grid);
  k.linear = linear;
  k.instance_id = const_cast<int32_t*>(read<int32_t>(instance_id));
  k.triangle_id = const_cast<int32_t*>(read<int32_t>(triangle_id));
  const Tensor& like = scene[1];
  const int64_t b = k.scene.images, n = k.scene.instances, h = k.height / grid, w = k.width / grid;
  Tensor rgb = Schedule::output(like, {b, 3, h, w}, bytes ? ScalarType::Byte : ScalarType::Float);
  if (rgb.numel()) {
    k.rgb_byte = bytes ? write<uint8_t>(rgb) : nullptr;
    k.rgb_float = bytes ? nullptr : write<float>(rgb);
  }
  Tensor prepared = make(like, {b * n, int64_t(sizeof(Prepared))}, ScalarType::Byte);
  k.prepared = reinterpret_cast<Prepared*>(write<uint8_t>(prepared));
  Tensor flags = make_zeros(like, {1}, ScalarType::Int);
  Schedule::run(like, Prepare{k.assets, k.scene, int32_t(w), int32_t(h), float(lod), const_cast<Prepared*>(k.prepared),
                              write<int32_t>(flags)});
  Schedule::run(like, k);
  return rgb;
}

// As draw_backward.
template <class Schedule>
std::vector<Tensor> draw_lit_backward(std::vector<Tensor> assets, std::vector<Tensor> scene, std::vector<Tensor> photos,
                                      std::vector<Tensor> lighting, Tensor rgb, Tensor grad, Tensor instance_id,
                                      Tensor triangle_id, Tensor seen, int64_t wanted, int64_t casters,
                                      int64_t panorama_side, bool visible, int64_t shading, int64_t tone, bool mips,
                                      bool linear, double near, double lod) {
  DrawLitBackward k{};
  static_cast<DrawView&>(k) = draw_view(assets, scene, photos, 0, shading, tone, mips, near);
  k.lighting = lighting_view(lighting, k.scene, k.look, casters, panorama_side, visible);
  return run_backward<Schedule>(k, assets, scene, rgb, grad, instance_id, triangle_id, seen, wanted, linear, lod);
}

}  // namespace fastsynth
