// Memory of the CPU's outputs, kept when a tensor has let go of it and given to the next one: a large batch need not
// wait for the system to clear fresh pages.
#pragma once

#ifdef __linux__
#  include <sys/mman.h>
#endif
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <mutex>
#include <vector>

namespace fastsynth {

class Memory {
 public:
  static constexpr size_t kPage = size_t{2} << 20;  // a huge page; smaller outputs are left to torch

  // One for the process, never destroyed: tensors may outlive everything else.
  static Memory& shared() {
    static Memory& memory = *new Memory;
    return memory;
  }

  // At least `bytes`, unspecified contents; null where there is none.
  void* take(size_t bytes) {
    const size_t size = rounded(bytes);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      for (size_t i = idle_.size(); i-- > 0;)
        if (idle_[i].size == size) {
          void* at = idle_[i].at;
          idle_.erase(idle_.begin() + ptrdiff_t(i));
          idle_bytes_ -= size;
          return at;
        }
    }
    void* at = std::aligned_alloc(kPage, size);
#ifdef __linux__
    if (at) madvise(at, size, MADV_HUGEPAGE);
#endif
    return at;
  }

  // Takes back what take(bytes) gave. What has lain idle longest is freed when there is too much.
  void give_back(void* at, size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    idle_.push_back({at, rounded(bytes)});
    idle_bytes_ += idle_.back().size;
    while (idle_bytes_ > most_) {
      idle_bytes_ -= idle_.front().size;
      std::free(idle_.front().at);
      idle_.erase(idle_.begin());
    }
  }

 private:
  struct Block {
    void* at;
    size_t size;
  };

  static size_t rounded(size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

  std::mutex mutex_;
  std::vector<Block> idle_;
  size_t idle_bytes_ = 0;
  const size_t most_ = size_t(sysconf(_SC_PHYS_PAGES)) * size_t(sysconf(_SC_PAGE_SIZE)) / 32;
};

}  // namespace fastsynth
