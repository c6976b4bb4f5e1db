// The CPU schedule: tiles taken from a counter by one thread or several.
#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "../../csrc/schedule/cpu.h"  // first: the kernels are written over its lanes
#include "ways.h"

namespace fastsynth {

template <class Kernel>
static void run_tiles(const Kernel& kernel, int64_t* next, int64_t count) {
  using Shared = typename Kernel::template Shared<FS_ISA::CpuTile>;
  const auto shared = std::make_unique<Shared>();
  for (int64_t index; (index = __atomic_fetch_add(next, 1, __ATOMIC_RELAXED)) < count;) {
    FS_ISA::CpuTile tile;
    tile.index = index;
    kernel(tile, *shared);
  }
}

template <class Kernel>
static void run(const Kernel& kernel, int threads) {
  const int64_t count = tile_count(kernel, FS_ISA::CpuTile::kSide, 0);
  int64_t next = 0;
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back([&] { run_tiles(kernel, &next, count); });
  run_tiles(kernel, &next, count);
  for (std::thread& thread : others) thread.join();
}

}  // namespace fastsynth
