// A drawn scene and its gradients, light that is kept off and panoramas among it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "gradients.h"

namespace fastsynth {

// The gradients of a drawn scene: texels' to the bit, sums over lanes as near as their order allows.
template <class Kernel>
void run_backward(Way way, const World& world, const Draw& drawn, Kernel k, const Floats& rgb, int wanted,
                  Results& results, const std::string& tag) {
  static_cast<DrawView&>(k) = drawn;
  Floats grad(rgb.size()), rows(size_t(world.images) * (world.instances + 1) * k.numbers());
  for (size_t i = 0; i < grad.size(); ++i) grad[i] = float(int(i * 2654435761u >> 20 & 255) - 128) / 128.0f;
  std::vector<int64_t> texels(4 * world.texels.size());
  const int32_t largest = as_int(1.0f);
  k.rgb = rgb.data();
  k.grad = grad.data();
  k.rows = rows.data();
  k.texel_grad = texels.data();
  k.largest = &largest;
  k.wanted = wanted;
  run(way, k);
  results.keep(tag + " texels' gradients", texels);
  static std::map<std::string, Floats> first;
  const Floats& known = first.emplace(tag, rows).first->second;
  float most = 0;
  for (const float x : known) most = std::max(most, std::fabs(x));
  for (size_t i = 0; i < rows.size(); ++i)
    if (!(std::fabs(rows[i] - known[i]) <= 1e-4f * most)) {
      std::printf("%s %s: gradient %zu is %g and was %g\n", kNames[int(way)], tag.c_str(), i, double(rows[i]),
                  double(known[i]));
      std::exit(1);
    }
}

// Lights that cast shadows of numbers that mean nothing, and a panorama around the second image: `shown` is what Draw
// wrote of the samples.
inline void draw_lit(Way way, const World& world, const Draw& shown, Results& results, const std::string& tag) {
  constexpr int kSide = 16, kMaps = 2, kTexels = 4 * 18 * 18;
  const size_t pixels = size_t(world.images) * shown.width * shown.height;
  const Floats maps = random_numbers(size_t(world.images) * kMaps * kSide * kSide, 3);
  Floats cameras, around = random_numbers(4 * kTexels, 4), reflectance = random_numbers(4 * 32 * 32, 5);
  for (float& value : around) value = value * value;
  for (int i = 0; i < world.images * kMaps; ++i) {
    const float camera[kShadowNumbers] = {
        0.8f, 0, 0.6f, 0.1f, 0, 1, 0, 0.2f, -0.6f, 0, 0.8f, 0.3f, 0.5f, 0.6f, 0.1f * (i % 3) - 0.1f, 0.2f};
    cameras.insert(cameras.end(), camera, camera + kShadowNumbers);
  }
  const Ints panorama = {-1, 0};
  const Floats scale = {1.0f, 0.8f}, turn = {1.0f, 0.0f, 0.6f, 0.8f};
  const Floats gloss = random_numbers(size_t(world.images) * shown.look.lights, 6);
  LightingView lighting{};
  lighting.maps = maps.data();
  lighting.cameras = cameras.data();
  lighting.count = kMaps;
  lighting.size = kSide;
  lighting.casters = 1u << 1 | 1u << 3;  // the directional light and the spot
  lighting.texels = around.data();
  lighting.reflectance = reflectance.data();
  lighting.panorama = panorama.data();
  lighting.scale = scale.data();
  lighting.turn = turn.data();
  lighting.gloss = gloss.data();
  lighting.panoramas = 1;
  lighting.levels = 4;
  lighting.visible = 1;
  lighting.texels_each = kTexels;
  for (int level = 0; level < 4; ++level) {
    lighting.first[level] = level * 18 * 18;
    lighting.sides[level] = 16;
  }
  Floats rgb(3 * pixels);
  DrawLit k{};
  static_cast<DrawView&>(k) = shown;
  k.lighting = lighting;
  k.rgb_float = rgb.data();
  k.rgb_byte = nullptr;
  run(way, k);
  results.keep(tag + " lit rgb", rgb);
  if (shown.width % 2 == 0 && shown.height % 2 == 0) {  // the samples of a picture of half the size
    std::vector<uint8_t> bytes(3 * pixels / 4);
    k.grid = 2;
    k.rgb_float = nullptr;
    k.rgb_byte = bytes.data();
    run(way, k);
    results.keep(tag + " lit bytes", bytes);
  }
  Floats light(3 * pixels), specular(3 * pixels);
  GbufferLit g{};
  static_cast<DrawView&>(g) = shown;
  g.lighting = lighting;
  g.irradiance = light.data();
  g.specular = specular.data();
  run(way, g);
  results.keep(tag + " lit irradiance", light);
  results.keep(tag + " lit specular", specular);
  DrawLitBackward back{};
  back.lighting = lighting;
  run_backward(way, world, shown, back, rgb, 255, results, tag + " lit");
}

inline void draw_scene(Way way, const World& world, int width, int height, int grid, int shading, int tone, bool mips,
                       Results& results, const std::string& tag) {
  const int n = world.images * world.instances, pixels = world.images * width * height;
  std::vector<Prepared> prepared(n, Prepared{});
  Ints bad(1);
  run(way, Prepare{world.assets(), world.scene(), width, height, 0.5f, prepared.data(), bad.data()});
  results.keep(tag + " stray mesh", bad);
  Floats rgb(3 * pixels), depth(pixels), distance(pixels), normals(3 * pixels), object(3 * pixels), uv(2 * pixels),
      loose(4 * n);
  Ints ids(pixels), triangles(pixels), classes(pixels), seen(5 * n), total(n);
  std::vector<uint8_t> amodal(size_t(world.instances) * pixels), bytes(3 * pixels);
  run(way, ClearSeen(seen.data(), n));
  Draw d{};
  d.assets = world.assets();
  d.scene = world.scene();
  d.look = world.look(shading, tone, mips);
  d.prepared = prepared.data();
  d.width = width * grid;
  d.height = height * grid;
  d.grid = grid;
  for (d.face_bits = 1; (1 << d.face_bits) <= world.max_faces; ++d.face_bits) {}
  d.mesh_class = world.mesh_class.data();
  d.rgb_float = rgb.data();
  if (grid == 1) {
    d.instance_id = ids.data();
    d.triangle_id = triangles.data();
    d.semantic_id = classes.data();
    d.depth = depth.data();
    d.distance = distance.data();
    d.normals = normals.data();
    d.object_coordinates = object.data();
    d.uv = uv.data();
    d.seen = seen.data();
    d.total = total.data();
    d.amodal = amodal.data();
  }
  run(way, d);
  if (grid == 1) {
    run_backward(way, world, d, DrawBackward{}, rgb, 127, results, tag);  // everything
    draw_lit(way, world, d, results, tag);
  }
  Floats base(3 * pixels), gloss(2 * pixels), light(3 * pixels), specular(3 * pixels);
  Ints materials(pixels);
  if (grid == 1) {
    Gbuffer g{};
    static_cast<DrawView&>(g) = d;
    g.base_color = base.data();
    g.metallic_roughness = gloss.data();
    g.irradiance = light.data();
    g.specular = specular.data();
    g.material_id = materials.data();
    run(way, g);
  }
  Draw coded = d;
  coded.rgb_float = nullptr;
  coded.rgb_byte = bytes.data();
  coded.instance_id = coded.triangle_id = coded.semantic_id = coded.seen = coded.total = nullptr;
  coded.depth = coded.distance = coded.normals = coded.object_coordinates = coded.uv = nullptr;
  coded.amodal = nullptr;
  run(way, coded);
  run(way, LooseBoxes{world.assets(), world.scene(), prepared.data(), width, height, loose.data()});
  Ints reduced(5 * n);
  run(way, ClearSeen(reduced.data(), n));
  Reduce reduce{};
  reduce.instance_id = ids.data();
  reduce.images = world.images;
  reduce.height = height;
  reduce.width = width;
  reduce.instances = world.instances;
  reduce.seen = reduced.data();
  run(way, reduce);
  if (grid == 1 && reduced != seen) {
    std::printf("%s %s: reduce() and the fused path count differently\n", kNames[int(way)], tag.c_str());
    std::exit(1);
  }
  const int64_t hit = std::count_if(ids.begin(), ids.end(), [](int32_t id) { return id >= 0; });
  if (grid == 1 && width > 20 && (hit == 0 || hit == pixels)) {
    std::printf("%s %s: the scene shows %ld of %d pixels, which tests nothing\n", kNames[int(way)], tag.c_str(),
                long(hit), pixels);
    std::exit(1);
  }
  results.keep(tag + " rgb", rgb);
  results.keep(tag + " bytes", bytes);
  results.keep(tag + " loose boxes", loose);
  results.keep(tag + " ids", ids);
  results.keep(tag + " triangles", triangles);
  results.keep(tag + " classes", classes);
  results.keep(tag + " depth", depth);
  results.keep(tag + " distance", distance);
  results.keep(tag + " normals", normals);
  results.keep(tag + " object", object);
  results.keep(tag + " uv", uv);
  results.keep(tag + " base colour", base);
  results.keep(tag + " metallic and roughness", gloss);
  results.keep(tag + " irradiance", light);
  results.keep(tag + " specular", specular);
  results.keep(tag + " materials", materials);
  results.keep(tag + " seen", seen);
  results.keep(tag + " total", total);
  results.keep(tag + " amodal", amodal);
}

}  // namespace fastsynth
