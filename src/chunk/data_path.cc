// Wires the write side, the read side and their upkeep together.
#include "chunk/data_path.h"

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <mutex>

#include "base/timer.h"
#include "chunk/fetcher.h"
#include "chunk/file_state.h"
#include "chunk/reader.h"
#include "chunk/rewrite.h"
#include "chunk/write_pressure.h"
#include "chunk/writer.h"

namespace cider::chunk {
namespace {

constexpr auto kUpkeep = std::chrono::seconds(5);

}  // namespace

class DataPath::Impl {
 public:
  Impl(BlockStore& store, SliceCatalog& slice_catalog, MemoryBudget& memory, const DataOptions& options)
      : blocks(store),
        catalog(slice_catalog),
        budget(memory),
        timer("cider-timer"),
        fetcher(store, memory,
                {options.max_downloads, options.io_retries, options.fetch_size, options.prefetch}),
        pressure(memory, timer, [this] { return fetcher.memory_used(); }),
        reader(store, slice_catalog, memory, fetcher, options),
        writer(store, slice_catalog, memory, pressure, timer, options) {}

  FilePtr file(Ino ino) {
    used_since_upkeep.store(true, std::memory_order_relaxed);
    if (!upkeep_planned.exchange(true)) timer.after(kUpkeep, [this] { upkeep(); });
    return files.get(ino);
  }

  // Gives back the memory of what is not in use any more. Sleeps when there is nothing. The heap keeps what
  // is freed below something that is still in use, so after a burst of small writes it must be asked.
  void upkeep() {
    bool more = files.sweep(Monotonic::now());
    more |= fetcher.age();
    budget.slabs().trim();
    more |= budget.slabs().kept() > 0;
    const bool used = used_since_upkeep.exchange(false);
    if (!used) ::malloc_trim(0);
    more |= used;
    upkeep_planned.store(more);
    if (more) timer.after(kUpkeep, [this] { upkeep(); });
  }

  BlockStore& blocks;
  SliceCatalog& catalog;
  MemoryBudget& budget;
  FileTable files;
  std::atomic<bool> upkeep_planned{false};
  std::atomic<bool> used_since_upkeep{false};
  std::mutex rewriting;  // one at a time: a rewrite has a block in memory
  Timer timer;
  Fetcher fetcher;
  WritePressure pressure;
  Reader reader;
  Writer writer;
};

DataPath::DataPath(BlockStore& blocks, SliceCatalog& catalog, MemoryBudget& budget, DataOptions options)
    : impl_(std::make_unique<Impl>(blocks, catalog, budget, options)) {}

DataPath::~DataPath() {
  stop();
}

Result<BufferChain> DataPath::read(Ino ino, uint64_t stream, uint64_t length, uint64_t off, uint32_t size,
                                   std::stop_token stop) {
  return impl_->reader.read(impl_->file(ino), stream, length, off, size, std::move(stop));
}

Status DataPath::write(Ino ino, uint64_t off, Buffer data, Time now) {
  if (!impl_->budget.has_room(0)) impl_->fetcher.evict(data.footprint());
  return impl_->writer.write(impl_->file(ino), off, std::move(data), now);
}

void DataPath::when_writable(std::stop_token stop, std::move_only_function<void()> done) {
  impl_->pressure.when_writable(std::move(stop), std::move(done));
}

Status DataPath::flush(Ino ino, std::stop_token stop) {
  auto file = impl_->files.find(ino);
  if (!file) return {};
  return impl_->writer.flush(file, std::move(stop), impl_->writer.flush_deadline());
}

Status DataPath::fsync(Ino ino, std::stop_token stop) {
  return impl_->writer.fsync(impl_->file(ino), std::move(stop));
}

Status DataPath::sync_metadata(std::move_only_function<Status()> metadata) {
  return impl_->writer.unsynced().sync_with(std::move(metadata));
}

void DataPath::flush_in_background(Ino ino) {
  if (auto file = impl_->files.find(ino)) impl_->writer.flush_in_background(file);
}

bool DataPath::has_pending(Ino ino) const {
  return pending(ino).has_value();
}

std::optional<Pending> DataPath::pending(Ino ino) const {
  auto file = impl_->files.find(ino);
  if (!file) return std::nullopt;
  std::lock_guard lock(file->mutex);
  uint64_t end = file->pending_end();
  if (end == 0) return std::nullopt;
  return Pending{end, file->mtime};
}

Status DataPath::ordered(Ino ino, std::stop_token stop, std::move_only_function<Status()> change) {
  return impl_->writer.ordered(impl_->file(ino), UINT64_MAX, std::move(stop), std::move(change));
}

Status DataPath::truncate(Ino ino, uint64_t length, std::stop_token stop,
                          std::move_only_function<Status()> change) {
  return impl_->writer.ordered(impl_->file(ino), length, std::move(stop), std::move(change));
}

void DataPath::invalidate(Ino ino) {
  auto file = impl_->files.find(ino);
  if (!file) return;
  std::lock_guard lock(file->mutex);
  file->records.clear();
  file->records_version++;
  file->streams.clear();
}

Result<Slice> DataPath::rewrite(std::span<const Slice> parts, std::stop_token stop) {
  std::lock_guard lock(impl_->rewriting);
  return rewrite_slices(impl_->blocks, impl_->catalog, impl_->budget, parts, std::move(stop));
}

Status DataPath::flush_all(std::chrono::milliseconds deadline, std::stop_token stop,
                           const std::function<std::string(Ino)>& name) {
  auto until = Monotonic::now() + deadline;
  auto files = impl_->files.all();
  for (const auto& file : files) impl_->writer.flush_in_background(file);
  std::optional<Error> first;
  size_t others = 0;
  for (const auto& file : files) {
    Status status = impl_->writer.flush(file, stop, until);
    if (status) continue;
    if (impl_->writer.is_gone(file)) {
      impl_->writer.discard(file);
    } else if (first) {
      ++others;
    } else {
      const std::string which = name ? name(file->ino) : "inode " + std::to_string(file->ino);
      first = Error{status.error().code, which + ": " + status.error().to_string()};
    }
  }
  impl_->writer.unsynced().sync_all();  // an engine that is closed makes its records durable
  if (!first) return {};
  if (others > 0) first->message += "; and " + std::to_string(others) + " more files";
  return fail(*std::move(first));
}

void DataPath::stop() {
  impl_->timer.stop();     // nothing is begun any more,
  impl_->pressure.stop();  // nobody is kept waiting,
  impl_->writer.stop();    // what is under way ends
  impl_->fetcher.stop();
}

}  // namespace cider::chunk
