// How kernels are launched on CUDA. Nothing here needs a device or nvcc, so that it is tested where there is neither.
#pragma once

#include "thread.h"  // first: the kernels are written over its lanes

#include "../kernels/all.h"

namespace fastsynth {

struct CudaLanes {
  int64_t index;

  static constexpr int kSide = 64;  // 32 KiB of visibility in shared memory
  static constexpr int kGroup = 4;  // meshlets at a time
  static constexpr int kTeamX = 4, kTeamY = 2;
#ifdef __CUDACC__
  FS_KERNEL int32_t lane() const { return int32_t(threadIdx.x); }
  FS_KERNEL int32_t lanes() const { return int32_t(blockDim.x); }
  FS_KERNEL void sync() { __syncthreads(); }
#endif
};
using CudaTile = ThreadTile<CudaLanes>;

struct Launch {
  int64_t blocks, threads;  // of a block
};

// Blocks of one launch at most; a larger grid goes round again.
constexpr int64_t kMaxBlocks = (int64_t{1} << 31) - 1;

template <class Kernel>
constexpr Launch launch_of(int64_t tiles) {
  return {tiles < kMaxBlocks ? tiles : kMaxBlocks, Kernel::template lanes<CudaTile>()};
}

// Calls start(launch, tiles), unless there is nothing to do: a grid without blocks is an error on the device.
template <class Kernel, class Start>
void launch(const Kernel& kernel, Start&& start) {
  const int64_t tiles = tile_count(kernel, CudaTile::kSide, 0);
  if (tiles > 0) start(launch_of<Kernel>(tiles), tiles);
}

// Bytes of static shared memory of a block.
template <class Kernel>
constexpr int64_t shared_bytes() {
  return sizeof(typename Kernel::template Shared<CudaTile>);
}

// Blocks that a multiprocessor must have registers for: as many as the kernel says, or what nvcc thinks best (0).
template <class Kernel>
constexpr int blocks_at_once() {
  if constexpr (requires { Kernel::kBlocksAtOnce; }) return Kernel::kBlocksAtOnce;
  return 0;
}

}  // namespace fastsynth
