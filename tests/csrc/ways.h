// The two schedules that run here, each compiled in a file of its own: kernels over sixteen lanes take their time.
#pragma once

#include "../../csrc/kernels/all.h"

namespace fastsynth {

// What a test of the tests may plant.
extern bool plant_missing_sync;

#define FS_DECLARE(K)                     \
  void run_on_cpu(const K&, int threads); \
  void run_checked(const K&);
FS_KERNELS(FS_DECLARE)
#undef FS_DECLARE

}  // namespace fastsynth
