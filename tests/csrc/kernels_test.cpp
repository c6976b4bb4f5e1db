// Every kernel under the CPU schedule (one thread and several) and under the checking schedule: the same bits.
//
// Built by tests/test_kernels.py with the sanitizers. Exits with 1 where anything differs.
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
void draw_lit(Way way, const World& world, const Draw& shown, Results& results, const std::string& tag) {
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
  DrawLitBackward back{};
  back.lighting = lighting;
  run_backward(way, world, shown, back, rgb, 255, results, tag + " lit");
}

void draw_scene(Way way, const World& world, int width, int height, int grid, int shading, int tone, bool mips,
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

void deform_meshes(Way way, Results& results) {
  constexpr int kRows = 1300, kFaces = 2100, kInstances = 3, kCapacity = 1200, kFaceRows = 2090, kHull = 2;
  uint32_t state = 3;
  const auto number = [&] {  // in [-1, 1)
    state = state * 1664525u + 1013904223u;
    return float(state >> 8) / float(1 << 23) - 1.0f;
  };
  Floats data(8 * kRows), numbers, out, places, box(6 * kInstances);
  for (float& value : data) value = number();
  Ints faces(4 * kFaces), rows = {0, 1150, 0, 2085, 1200, 100, 2090, 10, 1250, 9000, 2000, 9000}, copied;  // too many
  for (int i = 0; i < 4 * kFaces; ++i) faces[i] = i % 1150;
  for (int trilinear = 0; trilinear < 2; ++trilinear) {
    DeformVertices deform{};
    const int32_t lattice = trilinear ? kDeformTrilinear : kDeformBernstein;
    deform.steps[0] = {lattice, {3, 2, 4}, 0};
    deform.steps[1] = {kDeformTwist, {0, 0, 0}, 78};
    deform.steps[2] = {kDeformDent, {0, 0, 0}, 85};
    deform.each = 92;
    numbers.resize(kInstances * deform.each);
    for (float& value : numbers) value = number();
    for (int i = 0; i < kInstances; ++i) {
      numbers[i * deform.each + 84] = i == 2 ? 1e9f : 3.0f;  // turns without end
      if (i == 1) numbers[i * deform.each + 3] = 0.0f;       // a flat box
    }
    out.assign(8 * (kRows + kInstances * kCapacity), -7.0f);
    places.assign(3 * (kHull + kInstances * kCapacity), -7.0f);
    copied.assign(4 * (kFaces + kInstances * kFaceRows), -7);
    deform.vertex_data = data.data();
    deform.first = rows.data();
    deform.count = rows.data() + 1;
    deform.row_stride = 4;
    deform.numbers = numbers.data();
    deform.instances = kInstances;
    deform.vertices = deform.before = kRows;
    deform.capacity = kCapacity;
    deform.out = out.data();
    deform.places = places.data() + 3 * kHull;
    run(way, deform);
    CopyFaces copy{};
    copy.faces = faces.data();
    copy.rows = rows.data();
    copy.instances = kInstances;
    copy.face_count = kFaces;
    copy.capacity = kFaceRows;
    copy.first_copy = kRows;
    copy.vertices = kCapacity;
    copy.out = copied.data();
    run(way, copy);
    run(way, BoundPlaces{deform.places, deform.count, 4, kInstances, kCapacity, box.data()});
    results.keep("deformed", out);
    results.keep("deformed places", places);
    results.keep("copied faces", copied);
    results.keep("bounds of places", box);
  }
}

// Two pictures convolved with a stroke and with a square, and one blended into the other.
void change_images(Way way, Results& results) {
  constexpr int kImages = 2, kChannels = 2, kHeight = 13, kWidth = 21, kRadius = 2, kSide = 2 * kRadius + 1;
  const Floats wide = random_numbers(kImages * kChannels * (kHeight + 2 * kRadius) * (kWidth + 2 * kRadius));
  Floats kernel(kImages * kSide * kSide), out(kImages * kChannels * kHeight * kWidth);
  for (int i = 0; i < kSide; ++i) kernel[i * kSide + kSide - 1 - i] = 0.2f;
  for (int i = 0; i < kSide * kSide; ++i) kernel[kSide * kSide + i] = 0.04f * float(i % 3);
  Convolve convolve{};
  convolve.in = wide.data();
  convolve.kernel = kernel.data();
  convolve.images = kImages;
  convolve.channels = kChannels;
  convolve.height = kHeight;
  convolve.width = kWidth;
  convolve.radius = kRadius;
  convolve.out = out.data();
  run(way, convolve);
  results.keep("convolved", out);
  convolve_gradients(way, convolve, results);
  const Floats source = random_numbers(out.size());
  const Floats& target = wide;
  Ints mask(kImages * kHeight * kWidth);
  for (int i = 0; i < kHeight * kWidth; ++i) {
    const int x = i % kWidth - 9, y = i / kWidth - 5;
    mask[i] = x * x + 2 * y * y < 60;  // reaches over a border
    mask[kHeight * kWidth + i] = i % 7 != 0 && x > 2;
  }
  const size_t size = size_t(PoissonView::scratch_size(kHeight, kWidth));
  Floats scratch(kImages * kChannels * 6 * size);
  Poisson poisson{};
  poisson.mask = mask.data();
  poisson.images = kImages;
  poisson.channels = kChannels;
  poisson.height = kHeight;
  poisson.width = kWidth;
  poisson.scratch = scratch.data();
  poisson.source = source.data();
  poisson.target = target.data();
  poisson.out = out.data();
  run(way, poisson);
  results.keep("blended", out);
  poisson_gradients(way, poisson, results);
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
