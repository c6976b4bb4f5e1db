// The adjoints of kernels that have just run, on gradients of random numbers.
#pragma once

#include "results.h"

namespace fastsynth {

// Bits of the largest magnitude, at a place of `most`.
inline Ints largest(Way way, const Floats& values, Ints most = {0, 0}, int at = 0) {
  LargestMagnitude k{};
  k.in = values.data();
  k.count = int64_t(values.size());
  k.each = 1;
  k.most = most.data() + at;
  run(way, k);
  return most;
}

// Numbers in [-1, 1).
inline Floats random_numbers(size_t count, uint32_t state = 7) {
  Floats values(count);
  for (float& value : values) {
    state = state * 1664525u + 1013904223u;
    value = float(state >> 8) / float(1 << 23) - 1.0f;
  }
  return values;
}

// Sums that come in any order, and their bounds.
struct Sums {
  std::vector<int64_t> sum;
  Ints bound;
  int32_t bits;

  Sums(size_t sums, size_t bounds, int64_t terms) : sum(sums), bound(bounds), bits(bits_of_terms(terms)) {}
  Floats floats(Way way) const {
    Floats out(sum.size());
    SumsToFloats k{};
    k.sum = sum.data();
    k.bound = bound.data();
    k.count = int64_t(sum.size());
    k.bits = bits;
    k.each = bound.size() == sum.size();
    k.out = out.data();
    run(way, k);
    return out;
  }
};

inline Floats corner_gradients(Way way, const ClipView& view, const Ints& ids, Results& results,
                               const std::string& tag) {
  const Floats by_barycentric = random_numbers(2 * ids.size(), 8), by_depth = random_numbers(ids.size(), 9);
  const size_t numbers = size_t(view.images) * view.vertices * 4;
  Sums sums(numbers, numbers, 3 * int64_t(view.width) * view.height);
  RasterizeAdjoint k{};
  k.clip = view.clip;
  k.faces = view.faces;
  k.triangle_id = ids.data();
  k.grad_barycentric = by_barycentric.data();
  k.grad_depth = by_depth.data();
  k.images = view.images;
  k.vertices = view.vertices;
  k.face_count = view.face_count;
  k.width = view.width;
  k.height = view.height;
  k.bits = sums.bits;
  k.bound = sums.bound.data();
  k.sum = sums.sum.data();
  for (k.adds = 0; k.adds < 2; ++k.adds) run(way, k);
  const Floats out = sums.floats(way);
  results.keep(tag + " gradients of corners", out);
  return out;
}

inline void vertex_gradients(Way way, const TransformVertices& forward, const Floats& by_clip, Results& results,
                             const std::string& tag) {
  const Floats vertices(forward.vertices, forward.vertices + 3 * forward.count);
  Floats by_vertices(vertices.size());
  TransformToVertices to_vertices{};
  to_vertices.grad = by_clip.data();
  to_vertices.matrices = forward.matrices;
  to_vertices.images = forward.images;
  to_vertices.count = forward.count;
  to_vertices.grad_vertices = by_vertices.data();
  run(way, to_vertices);
  results.keep(tag + " gradients of vertices", by_vertices);
  const Ints most = largest(way, vertices, largest(way, by_clip), 1);
  Sums sums(size_t(16 * forward.images), 1, forward.count);
  TransformToMatrices k{};
  k.grad = by_clip.data();
  k.vertices = vertices.data();
  k.most = most.data();
  k.images = forward.images;
  k.count = forward.count;
  k.bits = sums.bits;
  k.bound = sums.bound.data();
  k.sum = sums.sum.data();
  run(way, k);
  results.keep(tag + " gradients of matrices", sums.floats(way));
}

inline void attribute_gradients(Way way, const InterpolateView& forward, Results& results, const std::string& tag) {
  const size_t pixels = size_t(forward.images * forward.pixels);
  const Floats grad = random_numbers(pixels * forward.channels),
               barycentric(forward.barycentric, forward.barycentric + 2 * pixels);
  const Ints most = largest(way, barycentric, largest(way, grad), 1);
  Floats by_barycentric(2 * pixels);
  Sums sums(size_t(forward.vertices) * forward.channels, 1, 3 * int64_t(pixels));
  InterpolateAdjoint k{};
  static_cast<InterpolateView&>(k) = forward;
  k.grad = grad.data();
  k.most = most.data();
  k.bits = sums.bits;
  k.bound = sums.bound.data();
  k.sum = sums.sum.data();
  k.grad_barycentric = by_barycentric.data();
  run(way, k);
  results.keep(tag + " gradients of attributes", sums.floats(way));
  results.keep(tag + " gradients of barycentrics", by_barycentric);
}

inline void blur_gradients(Way way, const BlurView& forward, Results& results) {
  const Floats grad = random_numbers(size_t(forward.images * forward.count())),
               image(forward.in, forward.in + grad.size());
  Floats by_image(grad.size());
  BlurAdjoint adjoint{};
  static_cast<BlurView&>(adjoint) = forward;
  adjoint.in = grad.data();
  adjoint.out = by_image.data();
  run(way, adjoint);
  results.keep("gradients of what was blurred", by_image);
  const Ints most = largest(way, image, largest(way, grad), 1);
  Sums sums(size_t(forward.images), size_t(forward.images), forward.count());
  BlurToSigma k{};
  static_cast<BlurView&>(k) = forward;
  k.grad = grad.data();
  k.most = most.data();
  k.bits = sums.bits;
  k.bound = sums.bound.data();
  k.sum = sums.sum.data();
  run(way, k);
  results.keep("gradients of sigma", sums.floats(way));
}

inline void convolve_gradients(Way way, const ConvolveView& forward, Results& results) {
  const size_t images = size_t(forward.images), taps = size_t(forward.side() * forward.side()),
               read = images * size_t(forward.channels * forward.in_height() * forward.in_width());
  const Floats grad = random_numbers(images * size_t(forward.channels * forward.height * forward.width)),
               image(forward.in, forward.in + read);
  Floats by_image(read);
  ConvolveAdjoint adjoint{};
  static_cast<ConvolveView&>(adjoint) = forward;
  adjoint.grad = grad.data();
  adjoint.grad_in = by_image.data();
  run(way, adjoint);
  results.keep("gradients of what was convolved", by_image);
  const Ints most = largest(way, image, largest(way, grad), 1);
  Sums sums(images * taps, 1, int64_t(grad.size() / images));
  ConvolveToKernel k{};
  static_cast<ConvolveView&>(k) = forward;
  k.grad = grad.data();
  k.most = most.data();
  k.bits = sums.bits;
  k.bound = sums.bound.data();
  k.sum = sums.sum.data();
  run(way, k);
  results.keep("gradients of the kernel", sums.floats(way));
}

inline void poisson_gradients(Way way, const PoissonView& forward, Results& results) {
  const Floats grad = random_numbers(size_t(forward.tiles() * forward.pixels()));
  Floats by_source(grad.size()), by_target(grad.size());
  PoissonAdjoint k{};
  static_cast<PoissonView&>(k) = forward;
  k.grad = grad.data();
  k.grad_source = by_source.data();
  k.grad_target = by_target.data();
  run(way, k);
  results.keep("gradients of the source", by_source);
  results.keep("gradients of the target", by_target);
}

inline void develop_gradients(Way way, const DevelopView& forward, Results& results) {
  const Floats grad = random_numbers(size_t(forward.images * 3 * forward.pixels));
  Floats by_light(grad.size());
  Sums sums(size_t(5 * forward.images), size_t(5 * forward.images), 3 * forward.pixels);
  DevelopAdjoint k{};
  static_cast<DevelopView&>(k) = forward;
  k.grad = grad.data();
  k.grad_in = by_light.data();
  k.bits = sums.bits;
  k.bound = sums.bound.data();
  k.sum = sums.sum.data();
  for (k.adds = 0; k.adds < 2; ++k.adds) run(way, k);
  results.keep("gradients of light", by_light);
  results.keep("gradients of settings", sums.floats(way));
}

inline void texture_gradients(Way way, const TextureView& forward, Results& results) {
  const size_t pixels = size_t(forward.images * forward.pixels);
  const Floats grad = random_numbers(pixels * forward.channels);
  TextureAdjoint k{};
  static_cast<TextureView&>(k) = forward;
  int64_t texels = 0;
  for (int l = 0; l < forward.levels; ++l) {
    k.level_first[l] = texels;
    texels += int64_t(forward.level_width[l]) * forward.level_height[l] * forward.channels;
  }
  Sums sums(size_t(texels), 1, 4 * int64_t(pixels));
  sums.bound[0] = largest(way, grad)[0];
  Floats by_uv(2 * pixels), by_derivatives(4 * pixels);
  k.grad = grad.data();
  k.bound = sums.bound.data();
  k.bits = sums.bits;
  k.sum = sums.sum.data();
  k.grad_uv = by_uv.data();
  k.grad_uv_da = by_derivatives.data();
  run(way, k);
  results.keep("gradients of texels", sums.floats(way));
  results.keep("gradients of uv", by_uv);
  results.keep("gradients of uv's derivatives", by_derivatives);
}

}  // namespace fastsynth
