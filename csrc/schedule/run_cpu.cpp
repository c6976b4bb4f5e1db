// The kernels, compiled for one instruction set. Built several times, each with its own FS_ISA and flags; nothing of
// torch or of the standard library is included, so that no function compiled for a newer machine leaks into the rest.
#include "cpu.h"

#include "../kernels/all.h"
#include "cpu_table.h"

namespace fastsynth {
namespace FS_ISA {

template <class Kernel>
static void run(const Kernel& kernel, int64_t* next, int64_t count, void* memory) {
  using Shared = typename Kernel::template Shared<CpuTile>;
  Shared& shared = *static_cast<Shared*>(memory);
  for (;;) {
    const int64_t index = __atomic_fetch_add(next, 1, __ATOMIC_RELAXED);
    if (index >= count) return;
    CpuTile tile;
    tile.index = index;
    kernel(tile, shared);
  }
}

const CpuTable& table() {
  static constexpr CpuTable kTable = {
#define FS_ENTRY(K) {&run<K>, sizeof(typename K::template Shared<CpuTile>)},
      FS_KERNELS(FS_ENTRY)
#undef FS_ENTRY
          CpuTile::kSide,
  };
  return kTable;
}

}  // namespace FS_ISA
}  // namespace fastsynth
