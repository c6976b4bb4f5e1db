// Sums of terms that come in any order (kernels/sums.h), from their bounds to floats.
#pragma once

#include "../kernels/all.h"
#include "tensor.h"

namespace fastsynth {

// Bits of the largest magnitude of `in` to `most[at]`; of the pixels that show a triangle, where there are ids.
template <class Schedule>
void find_largest(const Tensor& in, Tensor& most, int64_t at, const int32_t* ids = nullptr, int64_t each = 1) {
  LargestMagnitude k{};
  k.in = read<float>(in);
  k.ids = ids;
  k.count = in.numel();
  k.each = each;
  k.most = write<int32_t>(most) + at;
  Schedule::run(in, k);
}

// Sums and the bounds that they are made with.
template <class Schedule>
struct OrderFreeSums {
  Tensor bound, sum;
  int32_t bits;  // of the number of terms

  // `bounds` is 1, or as many as there are sums.
  OrderFreeSums(const Tensor& like, int64_t sums, int64_t bounds, int64_t terms)
      : bound(make_zeros(like, {bounds}, ScalarType::Int)),
        sum(Schedule::output(like, {sums}, ScalarType::Long)),
        bits(bits_of_terms(terms)) {
    torch::stable::zero_(sum);
  }

  Tensor to_floats(const std::vector<int64_t>& shape) {
    Tensor out = Schedule::output(bound, shape, ScalarType::Float);
    SumsToFloats k{};
    k.sum = read<int64_t>(sum);
    k.bound = read<int32_t>(bound);
    k.count = sum.numel();
    k.bits = bits;
    k.each = bound.numel() == sum.numel();
    k.out = write<float>(out);
    Schedule::run(bound, k);
    return out;
  }
};

}  // namespace fastsynth
