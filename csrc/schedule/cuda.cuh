// CUDA schedule: a tile is a block, a lane is a thread.
#pragma once

#include <cuda_runtime.h>

#include "launch.h"

namespace fastsynth {

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
