// A mounted volume without a kernel: Meta over the in-memory engine, blocks in memory. Several mounts may
// share one volume, as several clients would. For tests.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "chunk/block_store.h"
#include "chunk/data_path.h"
#include "meta/meta.h"
#include "meta/store/memory/memory_store.h"
#include "object/object_store.h"
#include "vfs/front.h"
#include "vfs/volume_file_system.h"

namespace cider::vfs::testing {

// What all clients share: the engine and the objects.
struct SharedVolume {
  explicit SharedVolume(meta::Volume setting = {}) : volume(std::move(setting)) {
    volume.name = "test";
    volume.storage = "mem";
    volume.block_size = 64;
    EXPECT_TRUE(meta::format_volume(engine, &volume));
  }

  meta::Volume volume;
  meta::MemoryStore engine;
  std::unique_ptr<object::ObjectStore> objects = *object::open_store({"mem", ""});
};

class Mount {
 public:
  explicit Mount(SharedVolume& shared, VfsOptions options = {}, chunk::BlockCache* cache = nullptr)
      : meta(meta::memory_store_view(shared.engine), shared.volume,
             {.file_capabilities = options.enable_cap, .session = {}}),
        blocks(*shared.objects, {.block_size = 64 << 10}, nullptr, cache),
        catalog(meta),
        data(blocks, catalog, budget, {}),
        volume_fs(meta, catalog, data, budget, std::move(options)),
        fs(volume_fs, volume_fs.access_log(), volume_fs.options(), metrics) {
    EXPECT_TRUE(meta.start(data_callbacks(data, blocks)));
    fs.set_notifier([this](FileSystem::Invalidation change) {
      if (auto then = std::exchange(change.then, {})) then();
      std::lock_guard lock(told_mutex);
      told.push_back(std::move(change));
    });
  }
  ~Mount() { EXPECT_TRUE(volume_fs.stop(std::chrono::seconds(30))); }

  // Makes a file with `content`, closed.
  Ino make(Ino parent, const std::string& name, std::string_view content = {}) {
    auto made = fs.create(root, parent, name, 0644, O_RDWR);
    EXPECT_TRUE(made) << made.error().to_string();
    if (!made) return 0;
    if (!content.empty()) {
      EXPECT_TRUE(write(made->entry.ino, made->open.handle, 0, content));
    }
    close(made->entry.ino, made->open.handle);
    return made->entry.ino;
  }
  Ino mkdir(Ino parent, const std::string& name) { return fs.mkdir(root, parent, name, 0755).value().ino; }
  OpenReply open(Ino ino, int flags) {
    auto reply = fs.open(root, ino, flags, false);
    EXPECT_TRUE(reply) << reply.error().to_string();
    return reply ? *reply : OpenReply{};
  }
  Status write(Ino ino, Handle handle, uint64_t off, std::string_view bytes,
               const Caller& who = Caller{.pid = 1}, bool kill_suidgid = false) {
    Buffer buffer = Buffer::allocate(bytes.size(), &budget);
    std::memcpy(buffer.mutable_data(), bytes.data(), bytes.size());
    std::promise<Result<uint32_t>> answer;
    fs.write(who, ino, handle, off, std::move(buffer), kill_suidgid,
             [&](Result<uint32_t> r) { answer.set_value(std::move(r)); });
    Result<uint32_t> written = answer.get_future().get();
    if (!written) return fail(written.error());
    EXPECT_EQ(*written, bytes.size());
    return {};
  }
  std::string read(Ino ino, Handle handle, uint64_t off = 0, uint32_t size = 1 << 20) {
    auto chain = fs.read(root, ino, handle, off, size);
    EXPECT_TRUE(chain) << chain.error().to_string();
    std::string out;
    if (chain) {
      for (const Buffer& piece : *chain) out += piece.text();
    }
    return out;
  }
  // Opens, reads, closes.
  std::string content(Ino ino) {
    const Handle handle = open(ino, O_RDONLY).handle;
    std::string out = read(ino, handle);
    close(ino, handle);
    return out;
  }
  Attr stat(Ino ino) { return fs.getattr(root, ino, {}).value().attr; }
  void close(Ino ino, Handle handle, uint64_t lock_owner = 0) {
    EXPECT_TRUE(fs.flush(root, ino, handle, lock_owner));
    fs.release(root, ino, handle, {});
  }
  // Names in order, `batch` at a time.
  std::vector<std::string> list(Ino dir, size_t batch = 100, bool plus = false) {
    const Handle handle = fs.opendir(root, dir, O_RDONLY).value().handle;
    std::vector<std::string> names;
    uint64_t off = 0;
    for (size_t got = batch; got > 0;) {
      got = 0;
      EXPECT_TRUE(fs.readdir(root, dir, handle, off, plus, [&](const DirEntry& entry) {
        if (got == batch) return false;
        names.emplace_back(entry.name);
        off = entry.next_offset;
        ++got;
        return true;
      }));
    }
    fs.releasedir(root, dir, handle);
    return names;
  }
  size_t told_of(Ino ino, bool of_data) {
    std::lock_guard lock(told_mutex);
    return static_cast<size_t>(std::ranges::count_if(
        told, [&](const auto& change) { return change.ino == ino && change.data == of_data; }));
  }

  const Caller root{.pid = 1};
  std::mutex told_mutex;
  std::vector<FileSystem::Invalidation> told;
  MemoryBudget budget{64 << 20};
  meta::Meta meta;
  chunk::BlockStore blocks;
  MetaCatalog catalog;
  chunk::DataPath data;
  VolumeFileSystem volume_fs;
  MetricSet metrics;
  Front fs;
};

}  // namespace cider::vfs::testing
