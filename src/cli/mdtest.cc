// `ciderfs mdtest`: files made by many threads straight through the metadata layer, to measure an engine
// without FUSE.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <mutex>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/terminal.h"
#include "cli/volume_access.h"

namespace cider::cli {
namespace {

constexpr Option kOptions[] = {
    {.name = "threads", .type = OptionType::integer, .fallback = "1", .help = "number of threads"},
    {.name = "dirs", .type = OptionType::integer, .fallback = "3", .help = "subdirectories of a directory"},
    {.name = "depth", .type = OptionType::integer, .fallback = "2", .help = "levels of the tree"},
    {.name = "files",
     .type = OptionType::integer,
     .fallback = "10",
     .help = "files that each thread makes in each directory"},
    {.name = "write",
     .type = OptionType::integer,
     .fallback = "0",
     .help = "bytes of each file; they are recorded, and nothing is stored"},
};

constexpr UnsupportedOption kUnsupported[] = {
    {.name = "access-log", .advice = "leave it out; mount the volume and read its .accesslog"},
};

// Directories of one test, each with its subdirectories.
struct Tree {
  Ino ino = 0;
  std::vector<Tree> dirs;
};

class Test {
 public:
  Test(meta::Meta& meta, const Arguments& arguments)
      : meta_(meta),
        threads_(arguments.integer("threads")),
        width_(arguments.integer("dirs")),
        files_(arguments.integer("files")),
        length_(static_cast<uint64_t>(arguments.integer("write"))) {}

  Result<Tree> make_tree(Ino parent, const std::string& name, int64_t depth) {
    Tree tree{TRY(meta_.mknod(caller_, parent, name, {meta::FileType::directory, 0755, 0, {}})).ino, {}};
    ++dirs_;
    for (int64_t i = 0; depth > 0 && i < width_; ++i)
      tree.dirs.push_back(TRY(make_tree(tree.ino, "mdtest_tree." + std::to_string(i), depth - 1)));
    return tree;
  }
  int64_t dirs() const { return dirs_; }
  int64_t files() const { return dirs_ * threads_ * files_; }

  // The first error that a thread met.
  Status make_files(const Tree& tree) {
    Status outcome;
    std::mutex mutex;
    std::vector<std::jthread> threads;
    for (int64_t t = 0; t < threads_; ++t) {
      threads.emplace_back([&, t] {
        std::minstd_rand random(static_cast<unsigned>(t + 1));
        Status made = make_files_of(tree, "file.mdtest." + std::to_string(t) + ".", random);
        std::lock_guard lock(mutex);
        if (!made && outcome) outcome = std::move(made);
      });
    }
    threads.clear();
    return outcome;
  }

 private:
  Status make_files_of(const Tree& tree, const std::string& prefix, std::minstd_rand& random) {
    for (int64_t i = 0; i < files_; ++i) {
      bool created = false;
      const Ino ino =
          TRY(meta_.create(caller_, tree.ino, prefix + std::to_string(i), 0644, true, &created)).ino;
      Status written = write(ino);
      meta_.close(ino);
      TRY(std::move(written));
    }
    std::vector<size_t> order(tree.dirs.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::ranges::shuffle(order, random);
    for (size_t i : order) TRY(make_files_of(tree.dirs[i], prefix, random));
    return {};
  }

  Status write(Ino ino) {
    for (uint64_t at = 0; at < length_; at += kChunkSize) {
      const auto size = static_cast<uint32_t>(std::min(length_ - at, kChunkSize));
      const meta::ChunkSlice slice{static_cast<uint32_t>(at / kChunkSize),
                                   {0, TRY(meta_.next_slice_id()), size, 0, size}};
      TRY(meta_.write(ino, std::span(&slice, 1), Clock::system().now()));
    }
    return {};
  }

  meta::Meta& meta_;
  const int64_t threads_;
  const int64_t width_;
  const int64_t files_;
  const uint64_t length_;
  int64_t dirs_ = 0;
  const Caller caller_;
};

Status check(const Arguments& arguments) {
  for (const char* name : {"threads", "files", "dirs", "depth", "write"}) {
    const int64_t least = name == std::string_view("threads") || name == std::string_view("files") ? 1 : 0;
    if (arguments.integer(name) < least)
      return fail(EINVAL, std::string("--") + name + " is " + std::to_string(arguments.integer(name)) +
                              "; it takes " + std::to_string(least) + " or more");
  }
  return check_meta_url(arguments[0]);
}

// Runs `work` and prints what came of it: "Created 64000 files in 3.20 s (20000 files/s)".
Status measured(const std::string& what, const std::function<Result<int64_t>()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  const int64_t count = TRY(work());
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  char line[128];
  std::snprintf(line, sizeof line, "Created %lld %s in %.2f s (%.0f %s/s)", static_cast<long long>(count),
                what.c_str(), seconds, static_cast<double>(count) / seconds, what.c_str());
  print_line(line);
  return {};
}

Status run_test(meta::Meta& meta, const Arguments& arguments) {
  std::string path = arguments[1];
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  const size_t slash = path.rfind('/');
  const std::string name = slash == path.npos ? path : path.substr(slash + 1);
  const Ino parent = TRY(meta.resolve({}, kRootIno, slash == path.npos ? "" : path.substr(0, slash))).ino;
  Test test(meta, arguments);
  Tree tree;
  TRY(measured("dirs", [&]() -> Result<int64_t> {
    tree = TRY(test.make_tree(parent, name, arguments.integer("depth")));
    return test.dirs();
  }));
  return measured("files", [&]() -> Result<int64_t> {
    TRY(test.make_files(tree));
    return test.files();
  });
}

Result<int> run(const Arguments& arguments) {
  OpenedVolume opened = TRY(open_volume(arguments[0], Access::read_write));
  meta::MetaOptions options{.background_jobs = false, .max_deletes = 0};
  options.session = this_session("mdtest");
  meta::Meta meta(std::move(opened.store), opened.volume, options);
  TRY(meta.start({}));
  Status done = run_test(meta, arguments);
  meta.stop();
  TRY(std::move(done));
  return 0;
}

}  // namespace

const Command kMdtestCommand = {
    .name = "mdtest",
    .category = "TOOL",
    .usage = "META-URL PATH",
    .summary = "Measure how fast an engine creates files, without a mount",
    .description = R"(Makes a tree of directories at PATH, which must not exist, and files in each of them by
several threads at once. They stay; remove them with `ciderfs rmr` in a mount.

Examples:
  ciderfs mdtest redis://localhost /test1 --threads 64 --depth 0 --files 1000)",
    .options = kOptions,
    .unsupported = kUnsupported,
    .min_arguments = 2,
    .max_arguments = 2,
    .check = check,
    .run = run,
};

}  // namespace cider::cli
