// Every kernel under the CPU schedule (one thread and several) and under the checking schedule: the same bits.
//
// Built by tests/test_kernels.py with the sanitizers. Exits with 1 where anything differs.
#include <cstdio>
#include <string>

#include "changes.h"
#include "scenes.h"

namespace fastsynth {

void draw_triangles(Way way, int width, int height, Results& results, const std::string& tag) {
  constexpr int kImages = 2, kVertices = 60, kFaces = 150;
  Floats clip, vertices, attributes;
  uint32_t state = 7;
  const auto number = [&] {  // in [-1, 1)
    state = state * 1664525u + 1013904223u;
    return float(state >> 8) / float(1 << 23) - 1.0f;
  };
  for (int i = 0; i < kVertices; ++i)
    for (int c = 0; c < 3; ++c) vertices.push_back(number());
  // A perspective matrix: some corners lie behind the eye, some far outside.
  const float matrix[32] = {2, 0, 0, 0.1f, 0, 2, 0, 0, 0, 0, 1,    0.2f, 0, 0, 1,    0.6f,
                            9, 0, 0, 0,    0, 9, 0, 0, 0, 0, 0.5f, 0,    0, 0, 0.5f, 1};
  clip.resize(kImages * kVertices * 4);
  TransformVertices transform{};
  transform.vertices = vertices.data();
  transform.matrices = matrix;
  transform.images = kImages;
  transform.count = kVertices;
  transform.out = clip.data();
  run(way, transform);
  Ints faces;
  for (int i = 0; i < 3 * kFaces; ++i) faces.push_back(int32_t((number() + 1) * 0.5f * kVertices));
  faces[30] = 1000;  // leads nowhere
  faces[31] = -5;
  Ints x(kImages * kVertices), y(x), bad(1), ranges = {0, kFaces, 20, 100};
  Floats z(kImages * kVertices);
  ClipView view{};
  view.clip = clip.data();
  view.faces = faces.data();
  view.ranges = ranges.data();
  view.images = view.corner_images = kImages;
  view.vertices = kVertices;
  view.face_count = kFaces;
  view.width = width;
  view.height = height;
  view.x = x.data();
  view.y = y.data();
  view.z = z.data();
  view.bad = bad.data();
  Ints bounds(4 * kImages * view.runs());
  view.bounds = bounds.data();
  SnapCorners snap{};
  static_cast<ClipView&>(snap) = view;
  run(way, snap);
  BoundRuns bound{};
  static_cast<ClipView&>(bound) = view;
  run(way, bound);
  const int pixels = kImages * width * height;
  Ints ids(pixels);
  Floats barycentric(2 * pixels), depth(pixels);
  RasterizeClip draw{};
  static_cast<ClipView&>(draw) = view;
  draw.triangle_id = ids.data();
  draw.barycentric = barycentric.data();
  draw.depth = depth.data();
  run(way, draw);
  // What lies behind it, and behind that.
  Ints layer_ids[2] = {Ints(pixels), Ints(pixels)};
  Floats layer_z[2] = {Floats(pixels), Floats(pixels)}, layer_barycentric(2 * pixels), layer_depth(pixels);
  for (int layer = 0; layer < 3; ++layer) {
    RasterizeLayer behind{};
    static_cast<ClipView&>(behind) = view;
    behind.triangle_id = layer_ids[layer % 2].data();
    behind.z_over_w = layer_z[layer % 2].data();
    behind.barycentric = layer_barycentric.data();
    behind.depth = layer_depth.data();
    behind.layer_id = layer ? layer_ids[1 - layer % 2].data() : nullptr;
    behind.layer_z = layer ? layer_z[1 - layer % 2].data() : nullptr;
    run(way, behind);
    const std::string name = tag + " layer " + std::to_string(layer);
    results.keep(name + " ids", layer_ids[layer % 2]);
    results.keep(name + " z", layer_z[layer % 2]);
    results.keep(name + " depth", layer_depth);
    if (layer == 0 && layer_ids[0] != ids) {
      std::printf("%s %s: the first layer is not what is seen\n", kNames[int(way)], tag.c_str());
      std::exit(1);
    }
  }
  Interpolate interpolate{};
  Floats values(kVertices * 2), interpolated(2 * pixels);
  for (float& value : values) value = number();
  interpolate.attributes = values.data();
  interpolate.faces = faces.data();
  interpolate.triangle_id = ids.data();
  interpolate.barycentric = barycentric.data();
  interpolate.images = kImages;
  interpolate.pixels = width * height;
  interpolate.channels = 2;
  interpolate.vertices = kVertices;
  interpolate.face_count = kFaces;
  interpolate.out = interpolated.data();
  interpolate.bad = bad.data();
  run(way, interpolate);
  const Floats by_clip = corner_gradients(way, view, ids, results, tag);
  vertex_gradients(way, transform, by_clip, results, tag);
  attribute_gradients(way, interpolate, results, tag);
  results.keep(tag + " clip", clip);
  results.keep(tag + " bounds", bounds);
  results.keep(tag + " ids", ids);
  results.keep(tag + " barycentric", barycentric);
  results.keep(tag + " depth", depth);
  results.keep(tag + " interpolated", interpolated);
  results.keep(tag + " bad", bad);
}

void draw_images(Way way, Results& results) {
  constexpr int kImages = 2, kHeight = 13, kWidth = 21, kCount = 3 * kHeight * kWidth;
  const std::vector<int64_t> index = {3, int64_t{1} << 40};
  Floats uniform(kImages * 7), normal(kImages * kCount), image(kImages * kCount), blurred(image), shown(image);
  UniformNumbers numbers{};
  numbers.index = index.data();
  numbers.images = kImages;
  numbers.count = 7;
  numbers.seed = -5;
  numbers.stream = 1 << 30;
  numbers.out = uniform.data();
  run(way, numbers);
  NormalNumbers normals{};
  normals.key = index.data();
  normals.images = kImages;
  normals.count = kCount;
  normals.out = normal.data();
  run(way, normals);
  for (int i = 0; i < kImages * kCount; ++i) image[i] = float(i % 17) / 16;
  const float sigma[2] = {0.0f, 1.7f}, exposure[2] = {0, 1}, balance[6] = {1, 1, 1, 0.9f, 1, 1.1f},
              noise[4] = {0.1f, 0.01f, 0, 0.1f};
  for (int vertical = 0; vertical < 2; ++vertical) {
    Blur blur{};
    blur.in = image.data();
    blur.sigma = sigma;
    blur.images = kImages;
    blur.channels = 3;
    blur.height = kHeight;
    blur.width = kWidth;
    blur.radius = 5;
    blur.vertical = vertical;
    blur.out = blurred.data();
    run(way, blur);
    results.keep("blurred", blurred);
    blur_gradients(way, blur, results);
  }
  std::vector<uint8_t> bytes(kImages * kCount);
  for (int tone = 0; tone < 3; ++tone) {
    Develop develop{};
    develop.in = blurred.data();
    develop.exposure = exposure;
    develop.white_balance = balance;
    develop.noise = tone ? noise : nullptr;
    develop.normal = normal.data();
    develop.images = kImages;
    develop.pixels = kHeight * kWidth;
    develop.tone = tone;
    develop.out_float = shown.data();
    run(way, develop);
    develop.out_byte = bytes.data();
    run(way, develop);
    results.keep("shown", shown);
    develop_gradients(way, develop, results);
    results.keep("bytes", bytes);
  }
  Floats texture(5 * 4 * 2), smaller(2 * 2 * 2), uv, derivatives, looked_up;
  for (size_t i = 0; i < texture.size(); ++i) texture[i] = float(i % 7);
  for (size_t i = 0; i < smaller.size(); ++i) smaller[i] = float(i);
  for (int i = 0; i < kImages * 60 * 2; ++i) uv.push_back(float(i % 31) / 7 - 2);
  for (int i = 0; i < kImages * 60 * 4; ++i) derivatives.push_back(float(i % 5) / 9);
  looked_up.resize(kImages * 60 * 2);
  for (int wrap = 0; wrap < 3; ++wrap) {
    TextureLookup lookup{};
    lookup.level[0] = texture.data();
    lookup.level[1] = smaller.data();
    lookup.level_width[0] = 4;
    lookup.level_height[0] = 5;
    lookup.level_width[1] = lookup.level_height[1] = 2;
    lookup.levels = 2;
    lookup.channels = 2;
    lookup.wrap = wrap;
    lookup.nearest = wrap == 1;
    lookup.uv = uv.data();
    lookup.uv_da = derivatives.data();
    lookup.images = kImages;
    lookup.pixels = 60;
    lookup.out = looked_up.data();
    run(way, lookup);
    results.keep("looked up", looked_up);
    texture_gradients(way, lookup, results);
  }
  results.keep("uniform", uniform);
  results.keep("normal", normal);
}

Results everything(Way way, bool quick, const std::string& plant) {
  World world;
  Results results;
  if (plant == "out of bounds") {
    world.vertices.resize(world.vertices.size() / 2);  // faces and meshlets name vertices that are gone
    world.vertices.shrink_to_fit();
  }
  const int sizes[][2] = {{37, 29}, {1, 1}, {150, 20}};
  for (int i = 0; i < (quick ? 2 : 3); ++i) {
    const std::string tag = std::to_string(sizes[i][0]) + " x " + std::to_string(sizes[i][1]);
    draw_scene(way, world, sizes[i][0], sizes[i][1], 1, i, i, i != 1, results, tag);
    draw_triangles(way, sizes[i][0], sizes[i][1], results, tag + " triangles");
  }
  draw_scene(way, world, 11, 9, 2, kLambert, kToneSrgb, true, results, "11 x 9, 4 samples");
  World stray;
  stray.mesh_id[4] = 1000;
  draw_scene(way, stray, 21, 17, 1, kLambert, kToneLinear, false, results, "stray");
  World layered;
  for (size_t i = 0; i < layered.mesh_id.size(); ++i) {
    layered.layer.push_back(int32_t(i * 5 % 6) - 1);
    for (int k = 0; k < 12; ++k) layered.color_matrix.push_back(0.9f * (k % 5 == 0) + 0.1f * float(int(i + k) % 5 - 2));
  }
  draw_scene(way, layered, 40, 30, 1, kGgx, kToneSrgb, true, results, "layers, changed colours");
  draw_images(way, results);
  deform_meshes(way, results);
  change_images(way, results);
  return results;
}

int compare(const Results& a, const Results& b, const char* name) {
  int different = 0;
  for (size_t i = 0; i < a.bytes.size(); ++i) {
    const auto &x = a.bytes[i].second, &y = b.bytes[i].second;
    if (x == y) continue;
    size_t bytes = 0;
    for (size_t k = 0; k < x.size(); ++k) bytes += x[k] != y[k];
    std::printf("%s: '%s' differs in %zu of %zu bytes\n", name, a.bytes[i].first.c_str(), bytes, x.size());
    ++different;
  }
  return different;
}

}  // namespace fastsynth

// Words: "quick" leaves the larger sizes out; "missing sync" and "out of bounds" plant a fault.
int main(int count, char** words) {
  using namespace fastsynth;
  std::string plant;
  bool quick = false;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    (word == "quick" ? quick : plant_missing_sync) |= word == "quick" || word == "missing sync";
    if (word == "out of bounds") plant = word;
  }
  const Results cpu = everything(Way::kCpu, quick, plant);
  int different = compare(cpu, everything(Way::kThreads, quick, plant), kNames[1]);
  different += compare(cpu, everything(Way::kChecked, quick, plant), kNames[2]);
  std::printf("%zu results, %d differ\n", cpu.bytes.size(), different);
  return different != 0;
}
