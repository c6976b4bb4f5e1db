// The plain ops: clip-space geometry, vertex attributes, textures, pictures, random numbers.
#pragma once

#include "../kernels/all.h"
#include "tensor.h"

namespace fastsynth {

template <class Schedule>
Tensor transform(Tensor vertices, Tensor matrices) {
  Tensor out = Schedule::output(vertices, {matrices.size(0), vertices.size(0), 4}, ScalarType::Float);
  TransformVertices k{};
  k.vertices = read<float>(vertices);
  k.matrices = read<float>(matrices);
  k.images = matrices.size(0);
  k.count = vertices.size(0);
  k.out = write<float>(out);
  Schedule::run(vertices, k);
  return out;
}

template <class Schedule>
std::vector<Tensor> rasterize(Tensor clip, Tensor faces, Tensor ranges, int64_t height, int64_t width, int64_t cull) {
  const int64_t b = clip.size(0), v = clip.size(1);
  ClipView view{};
  view.clip = read<float>(clip);
  view.faces = read<int32_t>(faces);
  view.ranges = read_or_null<int32_t>(ranges);
  view.images = view.corner_images = int_size(clip, 0);
  view.vertices = int_size(clip, 1);
  view.face_count = int_size(faces, 0);
  view.width = int32_t(width);
  view.height = int32_t(height);
  Tensor snapped_corners = make(clip, {2, b, v}, ScalarType::Int);
  Tensor z = make(clip, {b, v}, ScalarType::Float);
  Tensor bounds = make(clip, {b, view.runs(), 4}, ScalarType::Int);
  Tensor bad = make_zeros(clip, {1}, ScalarType::Int);
  view.x = write<int32_t>(snapped_corners);
  view.y = view.x + b * v;
  view.z = write<float>(z);
  view.bounds = write<int32_t>(bounds);
  view.bad = write<int32_t>(bad);
  std::vector<Tensor> out = {Schedule::output(clip, {b, height, width}, ScalarType::Int),
                             Schedule::output(clip, {b, height, width, 2}, ScalarType::Float),
                             Schedule::output(clip, {b, height, width}, ScalarType::Float)};
  SnapCorners snap{};
  static_cast<ClipView&>(snap) = view;
  Schedule::run(clip, snap);
  BoundRuns bound{};
  static_cast<ClipView&>(bound) = view;
  Schedule::run(clip, bound);
  Schedule::refuse(bad, "rasterize(): `faces` names a vertex that does not exist (`clip` has ", v,
                   " per image), in the face of this number, the first counted 1");
  RasterizeClip draw{};
  static_cast<ClipView&>(draw) = view;
  draw.cull = int32_t(cull);
  draw.triangle_id = write<int32_t>(out[0]);
  draw.barycentric = write<float>(out[1]);
  draw.depth = write<float>(out[2]);
  Schedule::run(clip, draw);
  return out;
}

inline InterpolateView interpolate_view(const Tensor& attributes, const Tensor& faces, const Tensor& triangle_id,
                                        const Tensor& barycentric, Tensor& bad) {
  InterpolateView k{};
  k.attributes = read<float>(attributes);
  k.faces = read<int32_t>(faces);
  k.triangle_id = read<int32_t>(triangle_id);
  k.barycentric = read<float>(barycentric);
  k.images = triangle_id.size(0);
  k.pixels = triangle_id.size(1) * triangle_id.size(2);
  k.attribute_stride = attributes.size(0) == 1 ? 0 : attributes.size(1) * attributes.size(2);
  k.channels = int_size(attributes, 2);
  k.vertices = int_size(attributes, 1);
  k.face_count = int_size(faces, 0);
  k.bad = write<int32_t>(bad);
  return k;
}

template <class Schedule>
Tensor interpolate(Tensor attributes, Tensor faces, Tensor triangle_id, Tensor barycentric) {
  Tensor out =
      Schedule::output(attributes, {triangle_id.size(0), triangle_id.size(1), triangle_id.size(2), attributes.size(2)},
                       ScalarType::Float);
  Tensor bad = make_zeros(attributes, {1}, ScalarType::Int);
  Interpolate k{};
  static_cast<InterpolateView&>(k) = interpolate_view(attributes, faces, triangle_id, barycentric, bad);
  k.out = write<float>(out);
  Schedule::run(attributes, k);
  Schedule::refuse(
      bad,
      "interpolate(): `triangle_id` names a face that `faces` does not have, or the face names a vertex beyond the ",
      attributes.size(1), " of `attributes`; face, the first counted 1");
  return out;
}

inline TextureView texture_view(const std::vector<Tensor>& levels, const Tensor& uv, const Tensor& uv_da, int64_t wrap,
                                bool nearest) {
  TextureView k{};
  k.levels = int32_t(levels.size());
  for (size_t l = 0; l < levels.size(); ++l) {
    k.level[l] = read<float>(levels[l]);
    k.level_height[l] = int_size(levels[l], 1);
    k.level_width[l] = int_size(levels[l], 2);
    k.level_stride[l] = levels[l].size(0) == 1 ? 0 : levels[l].numel() / max(levels[l].size(0), int64_t{1});
  }
  k.channels = int_size(levels[0], 3);
  k.wrap = int32_t(wrap);
  k.nearest = nearest;
  k.uv = read<float>(uv);
  k.uv_da = read_or_null<float>(uv_da);
  k.images = uv.size(0);
  k.pixels = uv.size(1) * uv.size(2);
  return k;
}

template <class Schedule>
Tensor texture(std::vector<Tensor> levels, Tensor uv, Tensor uv_da, int64_t wrap, bool nearest) {
  Tensor out = Schedule::output(uv, {uv.size(0), uv.size(1), uv.size(2), levels[0].size(3)}, ScalarType::Float);
  TextureLookup k{};
  static_cast<TextureView&>(k) = texture_view(levels, uv, uv_da, wrap, nearest);
  k.out = write<float>(out);
  Schedule::run(uv, k);
  return out;
}

inline BlurView blur_view(const Tensor& image, const Tensor& sigma, int64_t radius) {
  BlurView k{};
  k.in = read<float>(image);
  k.sigma = read<float>(sigma);
  k.images = image.size(0);
  k.channels = int_size(image, 1);
  k.height = int_size(image, 2);
  k.width = int_size(image, 3);
  k.radius = int32_t(radius);
  return k;
}

template <class Schedule>
Tensor blur(Tensor image, Tensor sigma, int64_t radius) {
  const std::vector<int64_t> shape = {image.size(0), image.size(1), image.size(2), image.size(3)};
  Tensor rows = Schedule::output(image, shape, ScalarType::Float),
         out = Schedule::output(image, shape, ScalarType::Float);
  Blur k{};
  static_cast<BlurView&>(k) = blur_view(image, sigma, radius);
  k.out = write<float>(rows);
  Schedule::run(image, k);
  k.vertical = 1;
  k.in = read<float>(rows);
  k.out = write<float>(out);
  Schedule::run(image, k);
  return out;
}

inline DevelopView develop_view(const Tensor& linear, const Tensor& exposure, const Tensor& white_balance,
                                const Tensor& noise, const Tensor& normal, int64_t tone) {
  DevelopView k{};
  k.in = read<float>(linear);
  k.exposure = read<float>(exposure);
  k.white_balance = read<float>(white_balance);
  k.noise = read_or_null<float>(noise);
  k.normal = read_or_null<float>(normal);
  k.images = linear.size(0);
  k.pixels = linear.size(2) * linear.size(3);
  k.tone = int32_t(tone);
  return k;
}

template <class Schedule>
Tensor develop_image(Tensor linear, Tensor exposure, Tensor white_balance, Tensor noise, Tensor normal, int64_t tone,
                     bool bytes) {
  Tensor out = Schedule::output(linear, {linear.size(0), 3, linear.size(2), linear.size(3)},
                                bytes ? ScalarType::Byte : ScalarType::Float);
  Develop k{};
  static_cast<DevelopView&>(k) = develop_view(linear, exposure, white_balance, noise, normal, tone);
  (bytes ? (void)(k.out_byte = write<uint8_t>(out)) : (void)(k.out_float = write<float>(out)));
  Schedule::run(linear, k);
  return out;
}

template <class Schedule>
Tensor reduce(Tensor instance_id, int64_t instances) {
  Tensor out = Schedule::output(instance_id, {instance_id.size(0), instances, 5}, ScalarType::Int);
  Schedule::run(instance_id, ClearSeen{write<int32_t>(out), instance_id.size(0) * instances});
  Reduce k{};
  k.instance_id = read<int32_t>(instance_id);
  k.images = instance_id.size(0);
  k.height = int_size(instance_id, 1);
  k.width = int_size(instance_id, 2);
  k.instances = int32_t(instances);
  k.seen = write<int32_t>(out);
  Schedule::run(instance_id, k);
  return out;
}

template <class Schedule>
Tensor uniform(Tensor index, int64_t seed, int64_t stream, int64_t count) {
  Tensor out = Schedule::output(index, {index.size(0), count}, ScalarType::Float);
  UniformNumbers k{};
  k.index = read<int64_t>(index);
  k.images = index.size(0);
  k.count = count;
  k.seed = seed;
  k.stream = stream;
  k.out = write<float>(out);
  Schedule::run(index, k);
  return out;
}

template <class Schedule>
Tensor normal(Tensor key, int64_t count) {
  Tensor out = Schedule::output(key, {key.size(0), count}, ScalarType::Float);
  NormalNumbers k{};
  k.key = read<int64_t>(key);
  k.images = key.size(0);
  k.count = count;
  k.out = write<float>(out);
  Schedule::run(key, k);
  return out;
}

// A kernel that has its steps, but neither its copies' rows nor where they go.
inline DeformVertices deform_steps(const Tensor& vertex_data, const Tensor& numbers, int64_t program,
                                   int64_t capacity) {
  DeformVertices k{};
  k.vertex_data = read<float>(vertex_data);
  k.numbers = read<float>(numbers);
  for (int s = 0; s < kDeformSteps; ++s) {  // sixteen bits each: kind and three sizes
    const int64_t bits = program >> (16 * s);
    DeformStep& step = k.steps[s];
    step = {int32_t(bits & 15), {int32_t(bits >> 4 & 15), int32_t(bits >> 8 & 15), int32_t(bits >> 12 & 15)}, k.each};
    if (step.kind != kDeformEnd) k.each += deform_numbers(step);
  }
  STD_TORCH_CHECK(k.each == numbers.size(1), "deform(): the program needs ", k.each,
                  " numbers for each instance, but `numbers` has ", numbers.size(1));
  k.instances = numbers.size(0);
  k.vertices = int_size(vertex_data, 0);
  k.capacity = int32_t(capacity);
  return k;
}

template <class Schedule>
Tensor deform(Tensor vertex_data, Tensor first, Tensor count, Tensor numbers, int64_t program, int64_t capacity) {
  DeformVertices k = deform_steps(vertex_data, numbers, program, capacity);
  k.first = read<int32_t>(first);
  k.count = read<int32_t>(count);
  k.row_stride = 1;
  Tensor out = Schedule::output(vertex_data, {k.instances, capacity, 8}, ScalarType::Float);
  k.out = write<float>(out);
  Schedule::run(vertex_data, k);
  return out;
}

// vertex_data and faces, each with the copies behind them; the copies' positions by themselves behind `hull` rows that
// are left to the caller; and the boxes of the copies.
template <class Schedule>
std::vector<Tensor> deform_copies(Tensor vertex_data, Tensor faces, Tensor rows, Tensor numbers, int64_t program,
                                  int64_t hull, int64_t vertices, int64_t face_rows) {
  STD_TORCH_CHECK(vertices >= 1, "deform_copies(): `vertices` must be at least 1, but is ", vertices);
  DeformVertices k = deform_steps(vertex_data, numbers, program, vertices);
  k.first = read<int32_t>(rows);
  k.count = k.first + 1;
  k.row_stride = 4;
  k.before = k.vertices;
  CopyFaces f{};
  f.faces = read<int32_t>(faces);
  f.rows = k.first;
  f.instances = k.instances;
  f.face_count = int_size(faces, 0);
  f.capacity = int32_t(face_rows);
  f.first_copy = k.vertices;
  f.vertices = k.capacity;
  std::vector<Tensor> out = {
      Schedule::output(vertex_data, {k.vertices + k.instances * vertices, 8}, ScalarType::Float),
      Schedule::output(vertex_data, {f.face_count + k.instances * face_rows, 4}, ScalarType::Int),
      Schedule::output(vertex_data, {hull + k.instances * vertices, 3}, ScalarType::Float),
      Schedule::output(vertex_data, {k.instances, 6}, ScalarType::Float)};
  k.out = write<float>(out[0]);
  f.out = write<int32_t>(out[1]);
  k.places = write<float>(out[2]) + 3 * hull;
  BoundPlaces b{k.places, k.count, k.row_stride, k.instances, k.capacity, write<float>(out[3])};
  Schedule::run(vertex_data, k);
  Schedule::run(vertex_data, f);
  Schedule::run(vertex_data, b);
  return out;
}

}  // namespace fastsynth
