// Checking schedule: a tile is run by real threads, one for each lane, with a real barrier, so that ThreadSanitizer sees
// a missing sync() and every race between lanes. For tests; slow.
#pragma once

#include <barrier>
#include <memory>
#include <thread>
#include <vector>

#include "thread.h"

namespace fastsynth {

extern bool plant_missing_sync;  // the test of the test
constexpr int kCheckLanes = 6;   // no divisor of the sizes of tiles and meshlets

struct CheckLanes {
  int64_t index;
  int32_t number;
  std::barrier<>* barrier;

  static constexpr int kSide = 16;
  static constexpr int kGroup = 2;
  static constexpr int kTeamX = 3, kTeamY = 1;
  int32_t lane() const { return number; }
  int32_t lanes() const { return kCheckLanes; }
  void sync() {
    if (!plant_missing_sync) barrier->arrive_and_wait();
  }
};
using CheckTile = ThreadTile<CheckLanes>;

// Runs the tiles one after another, in the given order of their numbers.
template <class Kernel>
void run_tiles(const Kernel& kernel, const std::vector<int64_t>& order) {
  using Shared = typename Kernel::template Shared<CheckTile>;
  for (const int64_t index : order) {
    const auto shared = std::make_unique<Shared>();
    std::barrier<> barrier(kCheckLanes);
    std::vector<std::thread> lanes;
    for (int32_t lane = 0; lane < kCheckLanes; ++lane)
      lanes.emplace_back([&, lane] {
        CheckTile tile;
        tile.index = index;
        tile.number = lane;
        tile.barrier = &barrier;
        kernel(tile, *shared);
      });
    for (std::thread& lane : lanes) lane.join();
  }
}

}  // namespace fastsynth
