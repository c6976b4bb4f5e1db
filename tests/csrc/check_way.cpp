// The checking schedule, from the last tile to the first: no tile may lean on another.
#include "../../csrc/schedule/check.h"  // first: the kernels are written over its lanes

#include <numeric>

#include "ways.h"

namespace fastsynth {

bool plant_missing_sync = false;

template <class Kernel>
static void run(const Kernel& kernel) {
  std::vector<int64_t> order(tile_count(kernel, CheckTile::kSide, 0));
  std::iota(order.rbegin(), order.rend(), 0);
  run_tiles(kernel, order);
}

#define FS_DEFINE(K) \
  void run_checked(const K& kernel) { run(kernel); }
FS_KERNELS(FS_DEFINE)
#undef FS_DEFINE

}  // namespace fastsynth
