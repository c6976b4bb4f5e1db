// Kernels that draw, under the CPU schedule.
#include "cpu_way.h"

namespace fastsynth {

#define FS_DEFINE(K) \
  void run_on_cpu(const K& kernel, int threads) { run(kernel, threads); }
FS_FORWARD_KERNELS(FS_DEFINE)
#undef FS_DEFINE

}  // namespace fastsynth
