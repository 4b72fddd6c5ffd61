// Random operations of many threads at the same time. What each answers is left open; what they leave behind
// is not.
#include <fcntl.h>
#include <linux/falloc.h>

#include <array>
#include <cstring>
#include <set>
#include <thread>

#include "meta/testing/random_ops.h"

namespace cider::meta::testing {
namespace {

constexpr size_t kKnown = 64;  // numbers that the threads of a race share

class Walk {
 public:
  Walk(Meta& meta, FakeData& data, const Clock& clock, uint64_t seed)
      : meta_(meta), data_(data), clock_(clock), random_(seed) {
    known_.fill(kRootIno);
  }

  void step() {
    Ino dir = any();
    std::string name = any_name();
    switch (below(16)) {
      case 0:
      case 1:
        return keep(meta_.mknod(root_, dir, name,
                                NewNode{below(3) ? FileType::directory : FileType::fifo, 0755, 0, {}}));
      case 2:
        return create(dir, name);
      case 3:
        return tmpfile(dir);
      case 4:
        return check(meta_.unlink(root_, dir, name, below(4) == 0));
      case 5:
        return check(meta_.rmdir(root_, dir, name));
      case 6:
      case 7:
        return rename(dir, name);
      case 8:
        return check(meta_.link(root_, any(), dir, name));
      case 9:
        return below(2) == 0 ? write(any()) : write_pack();
      case 10:
        return check(meta_.truncate(root_, any(), below(8) * 1024, true, false));
      case 11:
        return check(meta_.copy_range(root_, any(), below(4) * kUnit, any(), below(64) * kUnit, 16 * kUnit));
      case 12:
        return check(meta_.compact(any(), 0, true));
      case 13:
        return check(meta_.fallocate(root_, any(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                     below(8) * kUnit, kUnit));
      case 14:
        return open(any());
      default:
        return look(dir, name);
    }
  }

  void close_all() {
    for (Ino ino : open_) meta_.close(ino);
    open_.clear();
  }
  const std::optional<std::string>& failure() const { return failure_; }

 private:
  uint64_t below(uint64_t n) { return random_() % n; }
  std::string any_name() { return std::string(1, static_cast<char>('a' + below(5))); }
  Ino any() { return below(4) == 0 ? kRootIno : known_[below(kKnown)]; }
  void remember(Ino ino) { known_[below(kKnown)] = ino; }

  template <class T>
  void check(const Result<T>& answer) {
    if (answer) return;
    switch (answer.error().code) {
      case ENOENT:
      case EEXIST:
      case ENOTDIR:
      case EISDIR:
      case ENOTEMPTY:
      case EINVAL:
      case EPERM:
      case ENODEV:
      case ESPIPE:
        return;
      default:
        failure_ = "unexpected answer: " + answer.error().to_string() + " (" +
                   strerrorname_np(answer.error().code) + ")";
    }
  }
  void keep(const Result<Node>& made) {
    check(made);
    if (made) remember(made->ino);
  }
  void create(Ino dir, const std::string& name) {
    bool created = false;
    auto made = meta_.create(root_, dir, name, 0644, false, &created);
    keep(made);
    if (made) hold(made->ino);
  }
  void tmpfile(Ino dir) {
    auto made = meta_.tmpfile(root_, dir, 0644);
    keep(made);
    if (made) hold(made->ino);
  }
  void open(Ino ino) {
    auto opened = meta_.open(root_, ino, O_RDWR);
    check(opened);
    if (opened) hold(ino);
  }
  void hold(Ino ino) {
    open_.push_back(ino);
    if (open_.size() <= 8) return;
    size_t i = below(open_.size());
    meta_.close(open_[i]);
    open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  void rename(Ino dir, const std::string& name) {
    static constexpr uint32_t kFlags[] = {
        0, 0, 0, kRenameNoReplace, kRenameExchange, kRenameExchange, kRenameWhiteout};
    check(meta_.rename(root_, dir, name, any(), any_name(), kFlags[below(std::size(kFlags))]));
  }
  void write(Ino ino) {
    check(data_.write(meta_, ino, below(8) * kUnit, (1 + below(8)) * kUnit, random_() | 1, clock_.now()));
  }
  void write_pack() {
    std::set<Ino> inodes;
    for (int i = 0; i < 4; ++i) inodes.insert(any());
    std::vector<FakeData::PackedRange> ranges;
    for (Ino ino : inodes)
      ranges.push_back({ino, below(8) * kUnit, static_cast<uint32_t>((1 + below(4)) * kUnit)});
    const auto results = data_.write_pack(meta_, ranges, random_() | 1, clock_.now());
    check(results);
    if (!results) return;
    for (const auto& result : *results) check(result);
  }
  void look(Ino dir, const std::string& name) {
    auto found = meta_.lookup(root_, dir, name);
    keep(found);
  }

  Meta& meta_;
  FakeData& data_;
  const Clock& clock_;
  std::mt19937_64 random_;
  const Caller root_;
  std::array<Ino, kKnown> known_;
  std::vector<Ino> open_;
  std::optional<std::string> failure_;
};

}  // namespace

std::optional<std::string> random_walk(Meta& meta, FakeData& data, const Clock& clock, uint64_t seed,
                                       size_t operations, const std::atomic<bool>* stop) {
  Walk walk(meta, data, clock, seed);
  for (size_t i = 0; i < operations && !walk.failure() && !(stop && *stop); ++i) walk.step();
  walk.close_all();
  return walk.failure();
}

std::optional<std::string> race(const RandomSetup& setup, int threads) {
  TestVolume volume({.engine = setup.engine, .trash_days = setup.trash ? 1 : 0, .seed = setup.seed});
  std::vector<std::optional<std::string>> failures(threads);
  {
    std::vector<std::jthread> running;
    for (int i = 0; i < threads; ++i) {
      running.emplace_back([&, i] {
        failures[i] = random_walk(volume.client(i % 2), volume.data(), volume.clock(), setup.seed * 1000 + i,
                                  setup.operations, nullptr);
      });
    }
  }
  std::string where =
      "race of seed " + std::to_string(setup.seed) + " on " + engine_name(setup.engine) + ": ";
  for (const auto& failure : failures) {
    if (failure) return where + *failure;
  }
  volume.stop();
  VolumeDump dump = volume.dump();
  auto problems = inconsistencies(dump);
  for (const auto& [key, slices] : dump.chunks) {
    for (const Slice& s : slices) {
      if (s.id != 0 && !volume.data().has(s.id))
        problems.push_back("slice " + std::to_string(s.id) + " was deleted, but a file has it");
    }
  }
  if (!dump.sustained.empty()) problems.push_back("sustained inodes are left after all was closed");
  if (problems.empty()) return std::nullopt;
  for (const std::string& problem : problems) where += "\n  " + problem;
  return where;
}

}  // namespace cider::meta::testing
