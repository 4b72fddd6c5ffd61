// Random operations in turn, against the model.
#include <fcntl.h>
#include <linux/falloc.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <set>

#include "meta/testing/posix_model.h"
#include "meta/testing/random_ops.h"

namespace cider::meta::testing {
namespace {

constexpr size_t kFullCheckEvery = 97;

std::string error_name(int code) {
  return code == 0 ? "ok" : strerrorname_np(code) ? strerrorname_np(code) : std::to_string(code);
}

class ModelRun {
 public:
  explicit ModelRun(const RandomSetup& setup)
      : setup_(setup),
        random_(setup.seed),
        volume_({.engine = setup.engine, .trash_days = setup.trash ? 1 : 0, .seed = setup.seed}),
        model_(setup.trash) {}

  std::optional<std::string> run() {
    for (size_t i = 0; i < setup_.operations && !failure_; ++i) {
      number_ = i;
      step();
      if (!failure_) check_times();
      if (!failure_ && i % kFullCheckEvery == 0) check_all();
    }
    if (!failure_) check_all();
    return failure_;
  }

 private:
  struct OpenHandle {
    size_t client;
    Ino ino;
  };

  uint64_t below(uint64_t n) { return random_() % n; }
  bool chance(int percent) { return below(100) < static_cast<uint64_t>(percent); }
  std::string any_name() { return std::string(1, static_cast<char>('a' + below(6))); }
  uint64_t any_offset() {
    static constexpr uint64_t kBases[] = {0, 0, 0, kChunkSize - 2048, kChunkSize, 2 * kChunkSize - 1024};
    return kBases[below(std::size(kBases))] + below(16) * kUnit;
  }
  // Now and then enough that compaction leaves it where it is.
  uint64_t any_length() { return chance(4) ? 2 << 20 : (1 + below(12)) * kUnit; }

  template <class Pick>
  Ino pick(Pick wanted) {
    std::vector<Ino> found;
    for (const auto& [ino, node] : model_.nodes()) {
      if (wanted(node)) found.push_back(ino);
    }
    return found.empty() ? kRootIno : found[below(found.size())];
  }
  Ino any_dir() {
    if (chance(2)) return any_node();
    if (chance(1)) return 999'999;  // nothing there
    return chance(30) ? kRootIno : pick([](const ModelNode& n) { return n.is_dir(); });
  }
  Ino any_node() {
    if (chance(1)) return 999'999;
    return pick([](const ModelNode&) { return true; });
  }
  Ino any_file() {
    return chance(3) ? any_node() : pick([](const ModelNode& n) { return n.is_file(); });
  }

  Caller any_caller() {
    Caller c;
    c.check_permission = true;
    c.umask = chance(50) ? 022 : 0;
    switch (below(4)) {
      case 0:
        c.uid = c.gid = 1000;
        c.groups = {2000};
        break;
      case 1:
        c.uid = c.gid = 1001;
        break;
      default:
        break;
    }
    return c;
  }

  void fail_with(std::string text) {
    if (failure_) return;
    failure_ = "seed " + std::to_string(setup_.seed) + " on " + engine_name(setup_.engine) +
               (setup_.trash ? " with trash" : "") + ", operation " + std::to_string(number_) + " " + what_ +
               ": " + text;
  }

  void expect(int real, int wanted) {
    if (setup_.verbose) std::printf("%zu %s: %s\n", number_, what_.c_str(), error_name(real).c_str());
    if (real != wanted) fail_with("answered " + error_name(real) + ", expected " + error_name(wanted));
  }

  void describe(std::string text) {
    what_ =
        "client " + std::to_string(client_) + " uid " + std::to_string(caller_.uid) + " " + std::move(text);
  }
  static std::string at(Ino dir, const std::string& name) { return std::to_string(dir) + "/" + name; }

  void step() {
    client_ = below(kModelClients);
    caller_ = any_caller();
    unsigned dice = below(100);
    if (dice < 14) return make_node();
    if (dice < 22) return make_file();
    if (dice < 24) return make_tmpfile();
    if (dice < 31) return remove_name();
    if (dice < 36) return remove_dir();
    if (dice < 48) return rename();
    if (dice < 54) return link();
    if (dice < 62) return set_attributes();
    if (dice < 64) return set_flags();
    if (dice < 68) return xattrs();
    if (dice < 72) return open_file();
    if (dice < 77) return close_file();
    if (dice < 84) return write();
    if (dice < 87) return write_pack();
    if (dice < 91) return truncate();
    if (dice < 94) return fallocate();
    if (dice < 97) return copy();
    if (dice < 99) return compact();
    return seek();
  }

  Meta& meta() { return volume_.client(client_); }

  template <class T>
  void check_answer(const Result<T>& answer, Ino ino) {
    const Attr* attr;
    if constexpr (std::is_same_v<T, Node>)
      attr = &answer->attr;
    else
      attr = &*answer;
    if (!failure_) compare_attr(ino, *attr);
  }

  void make_node() {
    static constexpr FileType kTypes[] = {FileType::directory, FileType::directory, FileType::directory,
                                          FileType::file,      FileType::fifo,      FileType::char_device,
                                          FileType::symlink};
    Ino dir = any_dir();
    std::string name = any_name();
    NewNode node;
    node.type = kTypes[below(std::size(kTypes))];
    node.mode = chance(80) ? 0777 : below(010000);
    node.rdev = 0x0105;
    if (node.type == FileType::symlink) node.target = "somewhere/else";
    describe("mknod " + at(dir, name) + " type " + std::to_string(static_cast<int>(node.type)));
    auto made = meta().mknod(caller_, dir, name, node);
    expect(code_of(made), model_.mknod(caller_, dir, name, node, made ? made->ino : 0));
    if (made) check_answer(made, made->ino);
  }

  void make_file() {
    Ino dir = any_dir();
    std::string name = any_name();
    uint16_t mode = chance(70) ? 0666 : below(010000);
    bool exclusive = chance(30);
    describe("create " + at(dir, name));
    bool created = false;
    auto made = meta().create(caller_, dir, name, mode, exclusive, &created);
    expect(code_of(made),
           model_.create(caller_, client_, dir, name, mode, exclusive, created ? made->ino : 0));
    if (!made) return;
    handles_.push_back({client_, made->ino});
    check_answer(made, made->ino);
  }

  void make_tmpfile() {
    Ino dir = any_dir();
    describe("tmpfile in " + std::to_string(dir));
    auto made = meta().tmpfile(caller_, dir, 0644);
    expect(code_of(made), model_.tmpfile(caller_, client_, dir, 0644, made ? made->ino : 0));
    if (!made) return;
    handles_.push_back({client_, made->ino});
    check_answer(made, made->ino);
  }

  void remove_name() {
    Ino dir = any_dir();
    std::string name = any_name();
    bool skip = chance(20);
    describe("unlink " + at(dir, name) + (skip ? " for good" : ""));
    auto gone = meta().unlink(caller_, dir, name, skip);
    expect(code_of(gone), model_.unlink(caller_, client_, dir, name, skip));
  }

  void remove_dir() {
    Ino dir = any_dir();
    std::string name = any_name();
    describe("rmdir " + at(dir, name));
    auto gone = meta().rmdir(caller_, dir, name);
    expect(code_of(gone), model_.rmdir(caller_, dir, name));
  }

  void rename() {
    static constexpr uint32_t kFlags[] = {
        0, 0, 0, 0, kRenameNoReplace, kRenameExchange, kRenameExchange, kRenameWhiteout};
    Ino from = any_dir();
    Ino to = chance(40) ? from : any_dir();
    std::string name = any_name();
    std::string new_name = any_name();
    uint32_t flags = kFlags[below(std::size(kFlags))];
    describe("rename " + at(from, name) + " to " + at(to, new_name) + " flags " + std::to_string(flags));
    Ino moved = model_.at(from, name);
    auto done = meta().rename(caller_, from, name, to, new_name, flags);
    Ino whiteout = 0;
    if (done && (flags & kRenameWhiteout)) {
      auto left = meta().lookup(Caller{}, from, name);
      if (left) whiteout = left->ino;
    }
    expect(code_of(done), model_.rename(caller_, client_, from, name, to, new_name, flags, whiteout));
    if (done && !failure_) compare_attr(moved, done->moved.attr);
  }

  void link() {
    Ino ino = any_node();
    Ino dir = any_dir();
    std::string name = any_name();
    describe("link " + std::to_string(ino) + " as " + at(dir, name));
    auto done = meta().link(caller_, ino, dir, name);
    expect(code_of(done), model_.link(caller_, client_, ino, dir, name));
    if (done) check_answer(done, ino);
  }

  void set_attributes() {
    Ino ino = any_node();
    AttrChange change;
    switch (below(4)) {
      case 0:
        change.mode = static_cast<uint16_t>(chance(60) ? 0777 : below(010000));
        break;
      case 1:
        if (chance(70)) change.uid = chance(50) ? 0 : 1000;
        if (chance(70)) change.gid = chance(50) ? 2000 : 1001;
        if (!change.uid && !change.gid) change.gid = 0;
        break;
      case 2:
        change.mtime = Time{static_cast<int64_t>(below(4'000'000'000)) - 1'000'000'000, 123'456'789};
        change.atime = Time{-5, 1000};
        break;
      default:
        change.mtime_now = change.atime_now = true;
        break;
    }
    if (ino == kRootIno && setup_.engine == Engine::memory_conflicts) {  // its group is not the model's
      if (change.mode) *change.mode &= ~02000;
      if (change.gid) return;
    }
    describe("setattr " + std::to_string(ino));
    auto done = meta().setattr(caller_, ino, change);
    expect(code_of(done), model_.setattr(caller_, client_, ino, change));
    if (!done) return;
    if (change.atime && done->atime != *change.atime) fail_with("atime was not set");
    check_answer(done, ino);
  }

  // Most flags go again at once, or little would ever change.
  void set_flags() {
    Ino ino = pick([](const ModelNode& n) { return n.flags != 0; });
    if (ino == kRootIno || chance(40)) ino = any_node();
    uint8_t flags = chance(40) && ino != kRootIno   ? kFlagImmutable
                    : chance(30) && ino != kRootIno ? kFlagAppend
                                                    : 0;
    describe("set_flags " + std::to_string(ino) + " to " + std::to_string(flags));
    auto done = meta().set_flags(caller_, ino, flags);
    expect(code_of(done), model_.set_flags(caller_, ino, flags));
  }

  void xattrs() {
    Ino ino = any_node();
    std::string name = "user." + any_name();
    if (chance(30)) {
      describe("removexattr " + std::to_string(ino) + " " + name);
      return expect(code_of(meta().removexattr(caller_, ino, name)), model_.removexattr(caller_, ino, name));
    }
    static constexpr XattrMode kModes[] = {XattrMode::set, XattrMode::create, XattrMode::replace};
    XattrMode mode = kModes[below(3)];
    std::string value = std::string(below(20), 'v') + std::to_string(number_);
    describe("setxattr " + std::to_string(ino) + " " + name);
    expect(code_of(meta().setxattr(caller_, ino, name, value, mode)),
           model_.setxattr(caller_, ino, name, value, mode));
  }

  void open_file() {
    static constexpr int kFlags[] = {O_RDONLY, O_WRONLY, O_RDWR, O_WRONLY | O_APPEND};
    Ino ino = pick([](const ModelNode& n) { return n.is_file(); });
    if (ino == kRootIno) return;
    int flags = kFlags[below(std::size(kFlags))];
    describe("open " + std::to_string(ino) + " flags " + std::to_string(flags));
    auto opened = meta().open(caller_, ino, flags);
    expect(code_of(opened), model_.open(caller_, client_, ino, flags));
    if (!opened) return;
    handles_.push_back({client_, ino});
    check_answer(opened, ino);
  }

  void close_file() {
    if (handles_.empty()) return;
    size_t i = below(handles_.size());
    OpenHandle handle = handles_[i];
    handles_.erase(handles_.begin() + static_cast<std::ptrdiff_t>(i));
    client_ = handle.client;
    describe("close " + std::to_string(handle.ino));
    meta().close(handle.ino);
    model_.close(handle.client, handle.ino);
    auto attr = meta().getattr(handle.ino);
    expect(code_of(attr), model_.find(handle.ino) ? 0 : ENOENT);
  }

  void write() {
    Ino ino = any_file();
    uint64_t off = any_offset();
    uint64_t len = any_length();
    uint64_t tag = (number_ + 1) << 16;
    Time mtime = volume_.clock().now();
    describe("write " + std::to_string(ino) + " at " + std::to_string(off) + "+" + std::to_string(len));
    auto done = volume_.data().write(meta(), ino, off, len, tag, mtime);
    expect(code_of(done), model_.write(ino, off, len, tag, mtime));
    if (done && !failure_) compare_attr(ino, done->attr);
    compare_data(ino);
  }

  // Ranges of up to three files, each within a chunk, as one slice.
  void write_pack() {
    std::set<Ino> inodes;
    for (int i = 0; i < 3; ++i) inodes.insert(any_file());
    std::vector<FakeData::PackedRange> ranges;
    std::string names;
    for (Ino ino : inodes) {
      const uint64_t off = any_offset();
      const uint64_t len = std::min(any_length(), kChunkSize - off % kChunkSize);
      ranges.push_back({ino, off, static_cast<uint32_t>(len)});
      names += " " + std::to_string(ino) + " at " + std::to_string(off) + "+" + std::to_string(len);
    }
    uint64_t tag = (number_ + 1) << 16;
    Time mtime = volume_.clock().now();
    describe("write a pack of" + names);
    const auto results = volume_.data().write_pack(meta(), ranges, tag, mtime);
    expect(code_of(results), 0);
    if (!results) return;
    for (size_t i = 0; i < ranges.size(); ++i) {
      const auto& [ino, off, len] = ranges[i];
      expect(code_of((*results)[i]), model_.write(ino, off, len, tag, mtime));
      if ((*results)[i] && !failure_) compare_attr(ino, (*results)[i]->attr);
      compare_data(ino);
      tag += len / kUnit;
    }
  }

  void truncate() {
    Ino ino = any_file();
    uint64_t length = any_offset();
    bool by_handle = chance(30);
    bool kill = chance(30);
    describe("truncate " + std::to_string(ino) + " to " + std::to_string(length));
    auto done = meta().truncate(caller_, ino, length, by_handle, kill);
    expect(code_of(done), model_.truncate(caller_, client_, ino, length, by_handle, kill));
    if (done) check_answer(done, ino);
    compare_data(ino);
  }

  void fallocate() {
    static constexpr int kModes[] = {0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE,
                                     FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE};
    Ino ino = any_file();
    int mode = kModes[below(std::size(kModes))];
    uint64_t off = any_offset();
    uint64_t len = any_length();
    describe("fallocate " + std::to_string(ino) + " mode " + std::to_string(mode) + " at " +
             std::to_string(off) + "+" + std::to_string(len));
    auto done = meta().fallocate(caller_, ino, mode, off, len);
    expect(code_of(done), model_.fallocate(caller_, client_, ino, mode, off, len));
    if (done) check_answer(done, ino);
    compare_data(ino);
  }

  void copy() {
    Ino in = any_file();
    Ino out = any_file();
    uint64_t in_off = any_offset();
    uint64_t out_off = any_offset();
    uint64_t len = chance(20) ? 3 * kChunkSize : any_length();
    describe("copy " + std::to_string(in) + " at " + std::to_string(in_off) + " to " + std::to_string(out) +
             " at " + std::to_string(out_off) + "+" + std::to_string(len));
    auto done = meta().copy_range(caller_, in, in_off, out, out_off, len);
    expect(code_of(done), model_.copy_range(caller_, in, in_off, out, out_off, len));
    if (done && !failure_) compare_attr(out, done->out);
    compare_data(out);
  }

  void compact() {
    Ino ino = pick([](const ModelNode& n) { return n.is_file() && !n.units.empty(); });
    bool force = chance(50);
    describe("compact " + std::to_string(ino));
    for (uint32_t index = 0; index < 3; ++index) expect(code_of(meta().compact(ino, index, force)), 0);
    compare_data(ino);
  }

  // Data must not be taken for a hole; a hole may be taken for data (compaction fills small ones).
  void seek() {
    Ino ino = pick([](const ModelNode& n) { return n.is_file() && n.length > 0; });
    ModelNode* node = model_.find(ino);
    if (!node || !node->is_file()) return;
    uint64_t off = below(node->length / kUnit) * kUnit;
    auto data = node->units.lower_bound(off / kUnit);
    describe("seek " + std::to_string(ino) + " from " + std::to_string(off));
    auto found = meta().seek(ino, off, true, node->length);
    if (data != node->units.end() && (!found || *found > data->first * kUnit))
      fail_with("SEEK_DATA missed data");
    auto hole = meta().seek(ino, off, false, node->length);
    if (!hole) return fail_with("SEEK_HOLE answered " + hole.error().to_string());
    if (*hole < node->length && node->units.contains(*hole / kUnit)) fail_with("SEEK_HOLE found data");
  }

  void compare_attr(Ino ino, const Attr& real) {
    ModelNode* node = model_.find(ino);
    if (!node) return fail_with("inode " + std::to_string(ino) + " should be gone");
    auto differ = [&](const char* field, uint64_t have, uint64_t want) {
      if (have != want) {
        fail_with("inode " + std::to_string(ino) + " has " + field + " " + std::to_string(have) +
                  ", expected " + std::to_string(want));
      }
    };
    differ("type", static_cast<uint64_t>(real.type), static_cast<uint64_t>(node->type));
    differ("mode", real.mode, node->mode);
    differ("uid", real.uid, node->uid);
    bool disturbed = ino == kRootIno && setup_.engine == Engine::memory_conflicts;
    if (!disturbed) differ("gid", real.gid, node->gid);
    differ("nlink", real.nlink, model_.nlink(*node));
    differ("length", real.length, node->length);
    differ("rdev", real.rdev, node->rdev);
    differ("flags", real.flags, node->flags);
  }

  void compare_data(Ino ino) {
    ModelNode* node = model_.find(ino);
    if (failure_ || !node || !node->is_file()) return;
    auto real = volume_.data().read(meta(), ino, node->length);
    if (!real) return fail_with("reading inode " + std::to_string(ino) + ": " + real.error().to_string());
    if (*real != node->units) fail_with("inode " + std::to_string(ino) + " has other data than expected");
  }

  // Every time that should have moved did, and no other.
  void check_times() {
    for (auto& [ino, node] : model_.nodes()) {
      if (!node.mtime_moved && !node.ctime_moved && !chance(3)) continue;
      auto attr = meta().getattr(ino);
      if (!attr)
        return fail_with("getattr of inode " + std::to_string(ino) + ": " + attr.error().to_string());
      compare_attr(ino, *attr);
      auto check = [&](const char* what, bool moved, Time real, Time* known) {
        bool in_future = *known > volume_.clock().now();
        if (moved ? real <= *known && !in_future : real != *known) {
          fail_with(std::string(what) + " of inode " + std::to_string(ino) +
                    (moved ? " did not move" : " moved"));
        }
        *known = real;
      };
      check("mtime", node.mtime_moved, attr->mtime, &node.mtime);
      check("ctime", node.ctime_moved, attr->ctime, &node.ctime);
      node.mtime_moved = node.ctime_moved = false;
    }
  }

  void check_all() {
    what_ = "(check of everything)";
    for (auto& [ino, node] : model_.nodes()) {
      if (failure_) return;
      if (node.is_dir()) check_listing(ino, node);
      if (node.is_file()) compare_data(ino);
      auto names = meta().listxattr(Caller{}, ino);
      if (!names || names->size() != node.xattrs.size())
        return fail_with("xattrs of inode " + std::to_string(ino));
      for (const auto& [name, value] : node.xattrs) {
        auto real = meta().getxattr(Caller{}, ino, name);
        if (!real || *real != value) fail_with("xattr " + name + " of inode " + std::to_string(ino));
      }
      auto target = meta().readlink(Caller{}, ino);
      if (node.type == FileType::symlink ? !target || *target != node.target : code_of(target) != EINVAL)
        fail_with("readlink");
    }
    for (const std::string& problem : volume_.problems()) fail_with(problem);
  }

  void check_listing(Ino ino, const ModelNode& node) {
    std::map<std::string, Ino> listed;
    DirCursor cursor;
    while (!cursor.at_end) {
      auto page = meta().list_dir(ino, &cursor, 2, true);
      if (!page) return fail_with("list_dir: " + page.error().to_string());
      for (const ListedEntry& e : *page) {
        if (!listed.emplace(e.name, e.entry.ino).second) fail_with("listed twice: " + at(ino, e.name));
        if (e.attr && !failure_) compare_attr(e.entry.ino, *e.attr);
      }
    }
    if (listed != node.entries) fail_with("the listing of directory " + std::to_string(ino) + " differs");
  }

  const RandomSetup setup_;
  std::mt19937_64 random_;
  TestVolume volume_;
  PosixModel model_;
  std::vector<OpenHandle> handles_;
  size_t client_ = 0;
  Caller caller_;
  size_t number_ = 0;
  std::string what_;
  std::optional<std::string> failure_;
};

}  // namespace

std::optional<std::string> compare_with_model(const RandomSetup& setup) {
  return ModelRun(setup).run();
}

}  // namespace cider::meta::testing
