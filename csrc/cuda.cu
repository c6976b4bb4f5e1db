// The CUDA half: one registration.
#include "schedule/cuda.cuh"  // first: the kernels are written over its lanes

#include "ops/all.h"

namespace fastsynth {

struct Cuda {
  // On the current stream of the tensor's device. No synchronisation.
  template <class Kernel>
  static void run(const Tensor& like, const Kernel& kernel) {
    launch(kernel, [&](const Launch& grid, int64_t tiles) {
      const int32_t device = like.get_device_index();
      const torch::stable::accelerator::DeviceGuard guard(device);
      const auto stream =
          static_cast<cudaStream_t>(torch::stable::accelerator::getCurrentStream(device).nativeHandle());
      run_tiles<<<unsigned(grid.blocks), unsigned(grid.threads), 0, stream>>>(kernel, tiles);
      const cudaError_t error = cudaGetLastError();
      STD_TORCH_CHECK(error == cudaSuccess, "fastsynth: kernel launch failed: ", cudaGetErrorString(error));
    });
  }

  static Tensor output(const Tensor& like, const std::vector<int64_t>& shape, ScalarType type) {
    return make(like, shape, type);
  }

  // What the CPU raises, CUDA skips: reading the flag would stall the stream.
  static void refuse(const Tensor&, const char*, int64_t, const char*) {}
};

}  // namespace fastsynth

STABLE_TORCH_LIBRARY_IMPL(fastsynth, CUDA, m) { fastsynth::register_ops<fastsynth::Cuda>(m); }
