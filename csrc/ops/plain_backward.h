// Gradients of the plain ops. What is not wanted comes back empty.
#pragma once

#include "plain.h"
#include "sums.h"

namespace fastsynth {

inline std::vector<int64_t> shape_of(const Tensor& t) {
  std::vector<int64_t> shape(size_t(t.dim()));
  for (int64_t i = 0; i < t.dim(); ++i) shape[size_t(i)] = t.size(i);
  return shape;
}
inline Tensor nothing(const Tensor& like) { return make(like, {0}, ScalarType::Float); }

template <class Schedule>
std::vector<Tensor> transform_backward(Tensor grad, Tensor vertices, Tensor matrices, bool to_vertices,
                                       bool to_matrices) {
  std::vector<Tensor> out = {nothing(grad), nothing(grad)};
  const int64_t images = matrices.size(0), count = vertices.size(0);
  if (to_vertices) {
    out[0] = Schedule::output(grad, {count, 3}, ScalarType::Float);
    TransformToVertices k{};
    k.grad = read<float>(grad);
    k.matrices = read<float>(matrices);
    k.images = images;
    k.count = count;
    k.grad_vertices = write<float>(out[0]);
    Schedule::run(grad, k);
  }
  if (to_matrices) {
    OrderFreeSums<Schedule> sums(grad, 16 * images, 1, count);
    Tensor most = make_zeros(grad, {2}, ScalarType::Int);
    find_largest<Schedule>(grad, most, 0);
    find_largest<Schedule>(vertices, most, 1);
    TransformToMatrices k{};
    k.grad = read<float>(grad);
    k.vertices = read<float>(vertices);
    k.most = read<int32_t>(most);
    k.images = images;
    k.count = count;
    k.bits = sums.bits;
    k.bound = write<int32_t>(sums.bound);
    k.sum = write<int64_t>(sums.sum);
    Schedule::run(grad, k);
    out[1] = sums.to_floats({images, 4, 4});
  }
  return out;
}

template <class Schedule>
Tensor rasterize_backward(Tensor grad_barycentric, Tensor grad_depth, Tensor clip, Tensor faces, Tensor triangle_id) {
  RasterizeAdjoint k{};
  k.clip = read<float>(clip);
  k.faces = read<int32_t>(faces);
  k.triangle_id = read<int32_t>(triangle_id);
  k.grad_barycentric = read<float>(grad_barycentric);
  k.grad_depth = read<float>(grad_depth);
  k.images = int_size(clip, 0);
  k.vertices = int_size(clip, 1);
  k.face_count = int_size(faces, 0);
  k.height = int_size(triangle_id, 1);
  k.width = int_size(triangle_id, 2);
  OrderFreeSums<Schedule> sums(clip, clip.numel(), clip.numel(), 3 * k.pixels());
  k.bits = sums.bits;
  k.bound = write<int32_t>(sums.bound);
  k.sum = write<int64_t>(sums.sum);
  for (k.adds = 0; k.adds < 2; ++k.adds) Schedule::run(clip, k);
  return sums.to_floats(shape_of(clip));
}

template <class Schedule>
std::vector<Tensor> interpolate_backward(Tensor grad, Tensor attributes, Tensor faces, Tensor triangle_id,
                                         Tensor barycentric, bool to_attributes, bool to_barycentric) {
  Tensor bad = make_zeros(attributes, {1}, ScalarType::Int);  // the forward has said it
  InterpolateAdjoint k{};
  static_cast<InterpolateView&>(k) = interpolate_view(attributes, faces, triangle_id, barycentric, bad);
  k.grad = read<float>(grad);
  OrderFreeSums<Schedule> sums(grad, to_attributes ? attributes.numel() : 0, 1, 3 * triangle_id.numel());
  Tensor most = make_zeros(grad, {2}, ScalarType::Int);
  std::vector<Tensor> out = {nothing(grad), nothing(grad)};
  if (to_barycentric) {
    out[1] = Schedule::output(grad, shape_of(barycentric), ScalarType::Float);
    k.grad_barycentric = write<float>(out[1]);
  }
  if (to_attributes) {
    find_largest<Schedule>(grad, most, 0, k.triangle_id, max(int64_t(k.channels), int64_t{1}));
    find_largest<Schedule>(barycentric, most, 1, k.triangle_id, 2);
    k.most = read<int32_t>(most);
    k.bits = sums.bits;
    k.bound = write<int32_t>(sums.bound);
    k.sum = write<int64_t>(sums.sum);
  }
  Schedule::run(grad, k);
  if (to_attributes) out[0] = sums.to_floats(shape_of(attributes));
  return out;
}

// Gradients of all levels' texels one after another, of uv, and of uv_da.
template <class Schedule>
std::vector<Tensor> texture_backward(Tensor grad, std::vector<Tensor> levels, Tensor uv, Tensor uv_da, int64_t wrap,
                                     bool nearest, bool to_texels, bool to_uv, bool to_uv_da) {
  TextureAdjoint k{};
  static_cast<TextureView&>(k) = texture_view(levels, uv, uv_da, wrap, nearest);
  int64_t texels = 0;
  for (int32_t l = 0; l < k.levels; ++l) {
    k.level_first[l] = texels;
    texels += levels[l].numel();
  }
  OrderFreeSums<Schedule> sums(grad, to_texels ? texels : 0, 1, 4 * k.images * k.pixels);
  k.grad = read<float>(grad);
  k.bits = sums.bits;
  k.bound = read<int32_t>(sums.bound);
  std::vector<Tensor> out = {nothing(grad), nothing(grad), nothing(grad)};
  if (to_uv) {
    out[1] = Schedule::output(grad, shape_of(uv), ScalarType::Float);
    k.grad_uv = write<float>(out[1]);
  }
  if (to_uv_da) {
    out[2] = Schedule::output(grad, shape_of(uv_da), ScalarType::Float);
    k.grad_uv_da = write<float>(out[2]);
  }
  if (to_texels) {
    find_largest<Schedule>(grad, sums.bound, 0);
    k.sum = write<int64_t>(sums.sum);
  }
  Schedule::run(grad, k);
  if (to_texels) out[0] = sums.to_floats({texels});
  return out;
}

// The picture was blurred along its rows, then along its columns.
template <class Schedule>
std::vector<Tensor> blur_backward(Tensor grad, Tensor image, Tensor sigma, int64_t radius, bool to_image,
                                  bool to_sigma) {
  const std::vector<int64_t> shape = shape_of(image);
  Tensor by_rows = Schedule::output(image, shape, ScalarType::Float);
  BlurAdjoint adjoint{};
  static_cast<BlurView&>(adjoint) = blur_view(grad, sigma, radius);
  adjoint.vertical = 1;
  adjoint.out = write<float>(by_rows);
  Schedule::run(image, adjoint);
  std::vector<Tensor> out = {nothing(grad), nothing(grad)};
  if (to_image) {
    out[0] = Schedule::output(image, shape, ScalarType::Float);
    adjoint.vertical = 0;
    adjoint.in = read<float>(by_rows);
    adjoint.out = write<float>(out[0]);
    Schedule::run(image, adjoint);
  }
  if (to_sigma) {
    Tensor rows = Schedule::output(image, shape, ScalarType::Float);
    Blur along_rows{};
    static_cast<BlurView&>(along_rows) = blur_view(image, sigma, radius);
    along_rows.out = write<float>(rows);
    Schedule::run(image, along_rows);
    OrderFreeSums<Schedule> sums(grad, sigma.numel(), sigma.numel(), 2 * along_rows.count());
    Tensor most = make_zeros(grad, {2}, ScalarType::Int);
    find_largest<Schedule>(grad, most, 0);
    find_largest<Schedule>(by_rows, most, 0);
    find_largest<Schedule>(image, most, 1);  // and so of `rows`, whose weights' sum may exceed 1 by rounding alone
    BlurToSigma k{};
    static_cast<BlurView&>(k) = blur_view(image, sigma, radius);
    k.most = read<int32_t>(most);
    k.bits = sums.bits;
    k.bound = write<int32_t>(sums.bound);
    k.sum = write<int64_t>(sums.sum);
    k.grad = read<float>(by_rows);
    Schedule::run(image, k);
    k.vertical = 1;
    k.in = read<float>(rows);
    k.grad = read<float>(grad);
    Schedule::run(image, k);
    out[1] = sums.to_floats({sigma.size(0)});
  }
  return out;
}

// Gradients of linear, of the gains 2^exposure white_balance, and of noise.
template <class Schedule>
std::vector<Tensor> develop_backward(Tensor grad, Tensor linear, Tensor exposure, Tensor white_balance, Tensor noise,
                                     Tensor normal, int64_t tone, bool to_linear, bool to_settings) {
  DevelopAdjoint k{};
  static_cast<DevelopView&>(k) = develop_view(linear, exposure, white_balance, noise, normal, tone);
  k.grad = read<float>(grad);
  std::vector<Tensor> out = {nothing(grad), nothing(grad)};
  if (to_linear) {
    out[0] = Schedule::output(grad, shape_of(linear), ScalarType::Float);
    k.grad_in = write<float>(out[0]);
  }
  const int64_t count = to_settings ? 5 * k.images : 0;
  OrderFreeSums<Schedule> sums(grad, count, count, 3 * k.pixels);
  if (to_settings) {
    k.bits = sums.bits;
    k.bound = write<int32_t>(sums.bound);
    k.sum = write<int64_t>(sums.sum);
  }
  for (k.adds = 0; k.adds < (to_settings ? 2 : 1); ++k.adds) Schedule::run(grad, k);
  if (to_settings) out[1] = sums.to_floats({count});
  return out;
}

}  // namespace fastsynth
