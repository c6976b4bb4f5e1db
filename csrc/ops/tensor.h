// Tensors for kernels: pointers, sizes, allocation. The only includes of torch are here and in schema.cpp.
#pragma once

#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>

#include <vector>

namespace fastsynth {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

template <class T>
const T* read(const Tensor& t) {
  return static_cast<const T*>(t.const_data_ptr());
}
template <class T>
T* write(Tensor& t) {
  return static_cast<T*>(t.mutable_data_ptr());
}
// Null for a tensor without elements.
template <class T>
const T* read_or_null(const Tensor& t) {
  return t.numel() ? read<T>(t) : nullptr;
}
inline int32_t int_size(const Tensor& t, int64_t axis) {
  const int64_t size = t.size(axis);
  STD_TORCH_CHECK(size < (int64_t{1} << 31), "fastsynth: an axis of ", size,
                  " elements is too long; at most 2^31 - 1.");
  return static_cast<int32_t>(size);
}

inline Tensor make(const Tensor& like, std::vector<int64_t> shape, ScalarType type) {
  return torch::stable::new_empty(like, shape, type);
}
inline size_t bytes_of(ScalarType type) {
  if (type == ScalarType::Byte || type == ScalarType::Bool) return 1;
  return type == ScalarType::Long ? 8 : 4;
}
inline Tensor make_zeros(const Tensor& like, std::vector<int64_t> shape, ScalarType type) {
  return torch::stable::new_zeros(like, shape, type);
}

}  // namespace fastsynth
