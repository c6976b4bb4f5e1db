// CUDA schedule: a tile is a block, a lane is a thread.
#pragma once

#include <cuda_runtime.h>

#include "thread.h"

namespace fastsynth {

struct CudaLanes {
  int64_t index;

  static constexpr int kSide = 64;  // 32 KiB of visibility in shared memory
  static constexpr int kGroup = 4;  // meshlets at a time
  FS_KERNEL int32_t lane() const { return int32_t(threadIdx.x); }
  FS_KERNEL int32_t lanes() const { return int32_t(blockDim.x); }
  FS_KERNEL void sync() { __syncthreads(); }
};
using CudaTile = ThreadTile<CudaLanes>;

// Blocks of one launch at most; a larger grid goes round again.
constexpr int64_t kMaxBlocks = (int64_t{1} << 31) - 1;

// Blocks that a multiprocessor must have registers for: as many as the kernel says, or what nvcc thinks best (0).
template <class Kernel>
constexpr int blocks_at_once() {
  if constexpr (requires { Kernel::kBlocksAtOnce; }) return Kernel::kBlocksAtOnce;
  return 0;
}

template <class Kernel>
__global__ void __launch_bounds__(Kernel::template lanes<CudaTile>(), blocks_at_once<Kernel>())
    run_tiles(const Kernel kernel, int64_t count) {
  __shared__ typename Kernel::template Shared<CudaTile> shared;
  for (int64_t index = blockIdx.x; index < count; index += gridDim.x) {
    CudaTile tile;
    tile.index = index;
    kernel(tile, shared);
    __syncthreads();
  }
}

}  // namespace fastsynth
