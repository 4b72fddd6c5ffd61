#include "meta/testing/test_volume.h"

#include <cstdlib>
#include <stdexcept>

#include "meta/store/engines.h"

namespace cider::meta::testing {
namespace {

template <class T>
void must(const Result<T>& status, const char* what) {
  if (!status) throw std::runtime_error(std::string(what) + ": " + status.error().to_string());
}

}  // namespace

TestVolume::TestVolume(const VolumeSetup& setup) : engine_(traits(setup.engine)), random_(setup.seed) {
  if (engine_.make) {
    std::string pattern = (std::filesystem::temp_directory_path() / "cider-meta-XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
    dir_ = pattern;
    url_ = engine_.make(dir_);
  } else {
    MemoryStore::Behaviour behaviour;
    if (setup.engine == Engine::memory_conflicts) {
      behaviour.run_twice = 0.5;
      behaviour.between_reads = [this] { disturb(); };
    }
    memory_ = std::make_unique<MemoryStore>(std::move(behaviour), setup.seed);
  }
  volume_.name = "testvolume";
  volume_.storage = "mem";
  volume_.trash_days = setup.trash_days;
  volume_.capacity = setup.capacity;
  volume_.inodes = setup.inodes;
  volume_.enable_acl = setup.acl;
  auto store = open();
  must(format_volume(*store, &volume_, clock_), "format");
  for (int i = 0; i < setup.clients; ++i) add_client(setup.options);
}

TestVolume::~TestVolume() {
  stop();
  dead_.clear();
  clients_.clear();
  std::error_code ignored;
  if (!dir_.empty()) std::filesystem::remove_all(dir_, ignored);
}

std::unique_ptr<Store> TestVolume::open(const std::string& url) {
  if (memory_) return memory_store_view(*memory_);
  auto store = open_store(url.empty() ? url_ : url, true, false);
  if (!store) throw std::runtime_error("open: " + store.error().to_string());
  return *std::move(store);
}

Meta& TestVolume::add_client(const MetaOptions& options, const std::string& url) {
  auto meta = std::make_unique<Meta>(open(url), volume_, options, clock_);
  must(meta->start(data_.callbacks(*meta)), "start");
  return *clients_.emplace_back(std::move(meta));
}

void TestVolume::abandon(size_t i) {
  dead_.push_back(std::move(clients_[i]));
  clients_.erase(clients_.begin() + static_cast<std::ptrdiff_t>(i));
}

void TestVolume::stop() {
  for (auto& meta : clients_) meta->stop();
}

VolumeDump TestVolume::dump() {
  if (memory_) return dump_memory(*memory_);
  for (auto* metas : {&clients_, &dead_}) {
    for (auto& meta : *metas) must(meta->store().sync(), "write what is pending");
  }
  auto dump = engine_.dump(url_);
  if (!dump) throw std::runtime_error("dump: " + dump.error().to_string());
  return *std::move(dump);
}

// A change of the root's group does nobody harm, and breaks the read set of whatever makes or removes names
// in it.
void TestVolume::disturb() {
  thread_local bool busy = false;
  if (busy) return;
  {
    std::lock_guard lock(random_mutex_);
    if (random_() % 4 != 0) return;
  }
  busy = true;
  (void)memory_->run(
      [&](Transaction& tx) -> Status {
        auto& root = tx.attr(kRootIno, field::gid);
        TRY(tx.fetch());
        if (!root.value) return {};
        PatchNode patch{kRootIno};
        patch.set = field::gid;
        patch.values.gid = root.value->gid ^ 1;
        tx.write(std::move(patch));
        return {};
      },
      {});
  busy = false;
}

}  // namespace cider::meta::testing
