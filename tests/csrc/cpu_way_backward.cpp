// Those that go back, in a file of their own: they take as long to compile.
#include "cpu_way.h"

namespace fastsynth {

#define FS_DEFINE(K) \
  void run_on_cpu(const K& kernel, int threads) { run(kernel, threads); }
FS_BACKWARD_KERNELS(FS_DEFINE)
#undef FS_DEFINE

}  // namespace fastsynth
