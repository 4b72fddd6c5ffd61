// Sequential and random throughput of the data path alone, over `mem` and `file`.
//   data_path_bench [directory [MiB [threads]]]
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <future>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "chunk/data_path.h"
#include "chunk/testing/memory_catalog.h"
#include "object/object_store.h"

namespace {

using namespace cider;

constexpr size_t kMessage = 1 << 20;

struct Bench {
  object::ObjectStore& store;
  uint64_t bytes;
  int threads;
  chunk::testing::MemoryCatalog catalog;
  chunk::BlockStore blocks{store, {}};

  void run(const char* what, uint64_t total, const std::function<void(int)>& body) {
    timespec cpu_before, cpu_after;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu_before);
    auto before = std::chrono::steady_clock::now();
    std::vector<std::thread> workers;
    for (int t = 0; t < threads; t++) workers.emplace_back([&, t] { body(t); });
    for (std::thread& worker : workers) worker.join();
    double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count();
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu_after);
    double cpu = static_cast<double>(cpu_after.tv_sec - cpu_before.tv_sec) +
                 static_cast<double>(cpu_after.tv_nsec - cpu_before.tv_nsec) * 1e-9;
    double mib = static_cast<double>(total) / (1 << 20);
    std::printf("%-8s %-24s %9.0f MiB/s  %6.2f CPU s/GiB  %8.0f op/s of 4 KiB\n",
                store.name().substr(0, 8).c_str(), what, mib / seconds, cpu / (mib / 1024),
                static_cast<double>(total) / 4096 / seconds);
  }

  Ino ino(int thread) const { return 10 + static_cast<Ino>(thread); }
  uint64_t each() const { return bytes / static_cast<uint64_t>(threads); }

  void write(chunk::DataPath& data, MemoryBudget& budget, int thread, size_t message) {
    for (uint64_t off = 0; off < each(); off += message) {
      Buffer buffer = Buffer::allocate(message, &budget);
      std::memset(buffer.mutable_data(), static_cast<int>(off >> 20) | 1, message);
      if (!data.write(ino(thread), off, std::move(buffer), {})) std::abort();
      std::promise<void> writable;
      data.when_writable({}, [&] { writable.set_value(); });
      writable.get_future().wait();
    }
    if (!data.flush(ino(thread), {})) std::abort();
  }

  void read(chunk::DataPath& data, int thread, size_t message) {
    std::vector<std::byte> target(message);  // stands for the copy to the kernel
    for (uint64_t off = 0; off < each(); off += message) {
      auto chain = data.read(ino(thread), 1, each(), off, static_cast<uint32_t>(message), {});
      if (!chain || total_size(*chain) != message) std::abort();
      size_t at = 0;
      for (const Buffer& piece : *chain) {
        std::memcpy(target.data() + at, piece.data(), piece.size());
        at += piece.size();
      }
      if (static_cast<int>(target[0]) != (static_cast<int>(off >> 20 | 1) & 255)) std::abort();
    }
  }

  void read_random(chunk::DataPath& data, int thread, uint64_t count) {
    std::mt19937_64 random(static_cast<uint64_t>(thread));
    for (uint64_t i = 0; i < count; i++) {
      uint64_t off = random() % (each() / 4096) * 4096;
      auto chain = data.read(ino(thread), 1, each(), off, 4096, {});
      if (!chain || total_size(*chain) != 4096) std::abort();
    }
  }

  void all() {
    MemoryBudget budget(300 << 20);
    chunk::DataPath data(blocks, catalog, budget, {});
    run("write 1 MiB", bytes, [&](int t) { write(data, budget, t, kMessage); });
    run("rewrite 1 MiB", bytes, [&](int t) { write(data, budget, t, kMessage); });
    run("read 1 MiB", bytes, [&](int t) { read(data, t, kMessage); });
    run("read 128 KiB", bytes, [&](int t) { read(data, t, 128 << 10); });
    run("read 4 KiB", bytes / 16, [&](int t) {
      for (uint64_t off = 0; off < each() / 16; off += 4096) {
        if (!data.read(ino(t), 1, each(), off, 4096, {})) std::abort();
      }
    });
    uint64_t count = 100'000;
    run("random read 4 KiB", count * 4096,
        [&](int t) { read_random(data, t, count / static_cast<uint64_t>(threads)); });
    run("write 4 KiB", bytes / 16, [&](int t) {
      for (uint64_t off = 0; off < each() / 16; off += 4096) {
        Buffer buffer = Buffer::allocate(4096, &budget);
        std::memset(buffer.mutable_data(), 1, 4096);
        if (!data.write(ino(t) + 1000, off, std::move(buffer), {})) std::abort();
      }
      if (!data.flush(ino(t) + 1000, {})) std::abort();
    });
    uint64_t files = 2000;
    run("create+flush 4 KiB file", files * 4096, [&](int t) {
      for (uint64_t i = 0; i < files / static_cast<uint64_t>(threads); i++) {
        Ino number = 10'000 + i + static_cast<Ino>(t) * files;
        Buffer buffer = Buffer::allocate(4096, &budget);
        std::memset(buffer.mutable_data(), 1, 4096);
        if (!data.write(number, 0, std::move(buffer), {}) || !data.flush(number, {})) std::abort();
      }
    });
    data.stop();
  }
};

}  // namespace

int main(int argc, char** argv) {
  std::string parent = argc > 1 ? argv[1] : std::filesystem::temp_directory_path().string();
  uint64_t bytes = (argc > 2 ? std::stoull(argv[2]) : 1024) << 20;
  int threads = argc > 3 ? std::stoi(argv[3]) : 1;
  std::string directory = parent + "/data_path_bench." + std::to_string(::getpid());
  for (const char* storage : {"mem", "file"}) {
    auto store = object::open_store({.storage = storage, .bucket = directory + "/"});
    if (!store) {
      std::fprintf(stderr, "%s\n", store.error().to_string().c_str());
      return 1;
    }
    if (auto made = (*store)->create(); !made) {
      std::fprintf(stderr, "%s\n", made.error().to_string().c_str());
      return 1;
    }
    Bench{**store, bytes, threads}.all();
  }
  std::filesystem::remove_all(directory);
}
