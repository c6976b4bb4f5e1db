// The CPU half: one registration, and the choice of instruction set.
#include <cstdlib>
#include <cstring>
#include <memory>

#include "ops/all.h"
#include "schedule/cpu_table.h"
#include "schedule/isa.h"
#include "schedule/memory.h"

namespace fastsynth {

#define FS_DECLARE(isa)    \
  namespace isa {          \
  const CpuTable& table(); \
  }
FS_DECLARE(base)
#ifdef FASTSYNTH_X86_LEVELS
FS_DECLARE(v3)
FS_DECLARE(v4)
#endif
#undef FS_DECLARE

namespace {

struct Choice {
  const char* name;
  const CpuTable* table;
};

Choice choose() {
  const char* wish = std::getenv("FASTSYNTH_ISA");
#ifdef FASTSYNTH_X86_LEVELS
  const bool v4 = __builtin_cpu_supports("x86-64-v4"), v3 = __builtin_cpu_supports("x86-64-v3");
  if (v4 && (!wish || !std::strcmp(wish, "v4"))) return {"v4", &v4::table()};
  if (v3 && (!wish || std::strcmp(wish, "base") != 0)) return {"v3", &v3::table()};
#endif
  (void)wish;
  return {"base", &base::table()};
}

const Choice& chosen() {
  static const Choice choice = choose();
  return choice;
}

}  // namespace

const char* isa_name() { return chosen().name; }
const char* isa_names() {
#ifdef FASTSYNTH_X86_LEVELS
  return "base v3 v4";
#else
  return "base";
#endif
}

// Tiles are taken by torch's threads one at a time, as they differ in cost.
struct Cpu {
  template <class Kernel>
  static void run(const Tensor&, const Kernel& kernel) {
    const CpuTable& table = *chosen().table;
    const int64_t count = tile_count(kernel, table.side, 0);
    if (count == 0) return;
    const auto& entry = fastsynth::entry(table, kernel);
    int64_t next = 0;
    const auto work = [&](int64_t, int64_t) {
      constexpr size_t kAlign = 64;
      const size_t bytes = (entry.shared_bytes + kAlign - 1) / kAlign * kAlign;
      const std::unique_ptr<void, void (*)(void*)> memory(std::aligned_alloc(kAlign, bytes), std::free);
      STD_TORCH_CHECK(memory, "fastsynth: no memory for ", bytes, " bytes of scratch.");
      entry.run(kernel, &next, count, memory.get());
    };
    const int64_t threads = std::min<int64_t>(torch::stable::get_num_threads(), count);
    if (threads <= 1) {
      work(0, 1);
    } else {
      torch::stable::parallel_for(0, threads, 1, work);
    }
  }

  // A tensor that a kernel writes whole.
  static Tensor output(const Tensor& like, const std::vector<int64_t>& shape, ScalarType type) {
    int64_t elements = 1;
    std::vector<int64_t> strides(shape.size());
    for (size_t i = shape.size(); i-- > 0;) {
      strides[i] = elements;
      elements *= shape[i];
    }
    const size_t bytes = size_t(elements) * bytes_of(type);
    if (bytes < Memory::kPage) return make(like, shape, type);
    void* at = Memory::shared().take(bytes);
    STD_TORCH_CHECK(at, "fastsynth: no memory for an output of ", bytes, " bytes. Draw fewer images at once.");
    return torch::stable::from_blob(at, shape, strides, like.device(), type,
                                    [bytes](void* p) { Memory::shared().give_back(p, bytes); });
  }

  // Raises when a kernel met an index that leads nowhere.
  static void refuse(const Tensor& bad, const char* what, int64_t size, const char* rest) {
    const int32_t found = *read<int32_t>(bad);
    STD_TORCH_CHECK(found == 0, what, size, rest, ": ", found, ".");
  }
};

}  // namespace fastsynth

STABLE_TORCH_LIBRARY_IMPL(fastsynth, CPU, m) { fastsynth::register_ops<fastsynth::Cpu>(m); }
