// What the ways of running kernels share: how one is run, and what all of them wrote.
#pragma once

#include <string>
#include <utility>

#include "ways.h"
#include "world.h"

namespace fastsynth {

enum class Way { kCpu, kThreads, kChecked };
inline const char* kNames[] = {"cpu", "cpu with threads", "checking schedule"};

template <class Kernel>
void run(Way way, const Kernel& kernel) {
  if (way == Way::kChecked) {
    run_checked(kernel);
  } else {
    run_on_cpu(kernel, way == Way::kThreads ? 3 : 1);
  }
}

// Everything that a way of running wrote, by name.
struct Results {
  std::vector<std::pair<std::string, std::vector<uint8_t>>> bytes;

  template <class T>
  void keep(const std::string& name, const std::vector<T>& values) {
    const auto* p = reinterpret_cast<const uint8_t*>(values.data());
    bytes.emplace_back(name, std::vector<uint8_t>(p, p + values.size() * sizeof(T)));
  }
};

}  // namespace fastsynth
