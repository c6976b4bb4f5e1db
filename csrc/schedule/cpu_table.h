// Entry points of the kernels compiled for one instruction set.
#pragma once

#include <cstddef>

#include "../kernels/all.h"

namespace fastsynth {

template <class Kernel>
struct CpuEntry {
  // Runs tiles until `next` passes `count`; `memory` holds the tile's shared memory.
  void (*run)(const Kernel&, int64_t* next, int64_t count, void* memory);
  size_t shared_bytes;
};

struct CpuTable {
#define FS_ENTRY(K) CpuEntry<K> K##_entry;
  FS_KERNELS(FS_ENTRY)
#undef FS_ENTRY
  int side;  // of a pixel tile
};

#define FS_ENTRY(K) \
  inline const CpuEntry<K>& entry(const CpuTable& table, const K&) { return table.K##_entry; }
FS_KERNELS(FS_ENTRY)
#undef FS_ENTRY

}  // namespace fastsynth
