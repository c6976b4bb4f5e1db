// Ops on finished pictures, with their gradients: convolution and gradient-domain blending.
#pragma once

#include "plain_backward.h"

namespace fastsynth {

inline ConvolveView convolve_view(const Tensor& image, const Tensor& kernel) {
  ConvolveView k{};
  k.in = read<float>(image);
  k.kernel = read<float>(kernel);
  k.images = image.size(0);
  k.channels = int_size(image, 1);
  k.radius = (int_size(kernel, 1) - 1) / 2;
  k.height = int_size(image, 2) - 2 * k.radius;
  k.width = int_size(image, 3) - 2 * k.radius;
  return k;
}

template <class Schedule>
Tensor convolve(Tensor image, Tensor kernel) {
  Convolve k{};
  static_cast<ConvolveView&>(k) = convolve_view(image, kernel);
  Tensor out = Schedule::output(image, {k.images, k.channels, k.height, k.width}, ScalarType::Float);
  k.out = write<float>(out);
  Schedule::run(image, k);
  return out;
}

template <class Schedule>
std::vector<Tensor> convolve_backward(Tensor grad, Tensor image, Tensor kernel, bool to_image, bool to_kernel) {
  std::vector<Tensor> out = {nothing(grad), nothing(grad)};
  const ConvolveView view = convolve_view(image, kernel);
  if (to_image) {
    out[0] = Schedule::output(grad, shape_of(image), ScalarType::Float);
    ConvolveAdjoint k{};
    static_cast<ConvolveView&>(k) = view;
    k.grad = read<float>(grad);
    k.grad_in = write<float>(out[0]);
    Schedule::run(grad, k);
  }
  if (to_kernel) {
    OrderFreeSums<Schedule> sums(grad, kernel.numel(), 1, grad.numel() / max(view.images, int64_t{1}));
    Tensor most = make_zeros(grad, {2}, ScalarType::Int);
    find_largest<Schedule>(grad, most, 0);
    find_largest<Schedule>(image, most, 1);
    ConvolveToKernel k{};
    static_cast<ConvolveView&>(k) = view;
    k.grad = read<float>(grad);
    k.most = read<int32_t>(most);
    k.bits = sums.bits;
    k.bound = write<int32_t>(sums.bound);
    k.sum = write<int64_t>(sums.sum);
    Schedule::run(grad, k);
    out[1] = sums.to_floats(shape_of(kernel));
  }
  return out;
}

// The view of a mask, and the memory to solve in, which must outlive it.
template <class Schedule>
PoissonView poisson_view(const Tensor& picture, const Tensor& mask, Tensor& scratch) {
  PoissonView k{};
  k.mask = read<int32_t>(mask);
  k.images = picture.size(0);
  k.channels = int_size(picture, 1);
  k.height = int_size(picture, 2);
  k.width = int_size(picture, 3);
  scratch = Schedule::output(picture, {k.tiles(), PoissonView::scratch_size(k.height, k.width)}, ScalarType::Float);
  k.scratch = write<float>(scratch);
  return k;
}

template <class Schedule>
Tensor poisson(Tensor source, Tensor target, Tensor mask) {
  Tensor out = Schedule::output(source, shape_of(source), ScalarType::Float), scratch = nothing(source);
  Poisson k{};
  static_cast<PoissonView&>(k) = poisson_view<Schedule>(source, mask, scratch);
  k.source = read<float>(source);
  k.target = read<float>(target);
  k.out = write<float>(out);
  Schedule::run(source, k);
  return out;
}

template <class Schedule>
std::vector<Tensor> poisson_backward(Tensor grad, Tensor mask) {
  std::vector<Tensor> out = {Schedule::output(grad, shape_of(grad), ScalarType::Float),
                             Schedule::output(grad, shape_of(grad), ScalarType::Float)};
  Tensor scratch = nothing(grad);
  PoissonAdjoint k{};
  static_cast<PoissonView&>(k) = poisson_view<Schedule>(grad, mask, scratch);
  k.grad = read<float>(grad);
  k.grad_source = write<float>(out[0]);
  k.grad_target = write<float>(out[1]);
  Schedule::run(grad, k);
  return out;
}

}  // namespace fastsynth
