// Random operations on metadata, by seeds: against a model, in races, in races whose answers an order
// must explain, and with a client that is killed. Each
// failure names the seed that shows it again.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <thread>

#include "base/log.h"
#include "meta/store/engines.h"
#include "meta/testing/random_ops.h"

namespace {

using namespace cider;
using namespace cider::meta;
using namespace cider::meta::testing;

struct Options {
  std::string mode = "model";
  std::string engine = "memory";
  uint64_t seed = 1;
  uint64_t seeds = 1;
  size_t operations = 1000;
  int threads = 4;
  bool trash = false;
  bool verbose = false;
};

std::optional<Engine> engine_of(const std::string& name) {
  for (Engine engine : all_engines()) {
    if (engine_name(engine) == name) return engine;
  }
  return std::nullopt;
}

// The child of a crash: works until it is killed. Says on `out` which files it was told are there.
[[noreturn]] void work_until_killed(const std::string& url, uint64_t seed, int threads, int out) {
  auto store = open_store(url, false, false);
  auto volume = store ? load_volume(**store) : Result<Volume>(fail(EIO));
  if (!volume) _exit(1);
  Meta meta(*std::move(store), *volume, {.background_jobs = false, .max_deletes = 1});
  FakeData data;
  if (!meta.start(data.callbacks(meta))) _exit(1);
  std::vector<std::jthread> walks;
  for (int i = 0; i < threads; ++i) {
    walks.emplace_back([&, i] {
      auto failure = random_walk(meta, data, Clock::system(), seed * 1000 + i, SIZE_MAX, nullptr);
      if (failure) std::cerr << *failure << std::endl;
      _exit(2);
    });
  }
  for (uint64_t n = 0;; ++n) {
    std::string name = "told-" + std::to_string(seed) + "-" + std::to_string(n);
    if (!meta.mknod(Caller{}, kRootIno, name, NewNode{FileType::file, 0644, 0, {}})) _exit(3);
    std::string line = name + "\n";
    if (::write(out, line.data(), line.size()) < 0) _exit(4);
  }
}

std::vector<std::string> lines_of(int in) {
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = ::read(in, buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(n));
  std::vector<std::string> lines;
  for (size_t end; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1))
    lines.push_back(text.substr(0, end));
  return lines;
}

// The volume that crashes hit.
struct Target {
  const EngineTraits& engine;
  std::filesystem::path dir;
  std::string url;
  Result<VolumeDump> dump() const { return engine.dump(url); }
};

Target target_of(Engine engine) {
  std::string pattern = (std::filesystem::temp_directory_path() / "cider-crash-XXXXXX").string();
  if (!mkdtemp(pattern.data())) throw std::runtime_error("no temporary folder");
  return {traits(engine), pattern, traits(engine).make(pattern)};
}

// Kills a child in the middle of its work. Everything it was told is there must be, and the volume be
// consistent; once others have cleaned up after it, nothing of it is left.
std::optional<std::string> crash(const Options& o, const Target& target) {
  int pipe_ends[2];
  if (pipe(pipe_ends) != 0) return "pipe";
  pid_t child = fork();
  if (child == 0) {
    close(pipe_ends[0]);
    work_until_killed(target.url, o.seed, o.threads, pipe_ends[1]);
  }
  close(pipe_ends[1]);
  std::this_thread::sleep_for(std::chrono::milliseconds(50 + o.seed * 37 % 400));
  kill(child, SIGKILL);
  std::vector<std::string> told = lines_of(pipe_ends[0]);
  close(pipe_ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFSIGNALED(status)) return "the child ended by itself, with " + std::to_string(WEXITSTATUS(status));

  if (!open_store(target.url, false, true)) return "the database is gone";  // what was sent is done now
  auto dump = target.dump();
  if (!dump) return dump.error().to_string();
  for (const std::string& problem : inconsistencies(*dump)) return problem;
  std::set<std::string> present;
  for (const auto& e : dump->entries) present.insert(e.name);
  for (const std::string& name : told) {
    if (!present.contains(name)) return name + " was acknowledged, and is lost";
  }
  StepClock later;
  later.advance(10 * 365 * 86400);
  auto store = open_store(target.url, false, false);
  if (!store) return store.error().to_string();
  auto volume = load_volume(**store);
  if (!volume) return volume.error().to_string();
  Meta meta(*std::move(store), *volume, {.background_jobs = false, .max_deletes = 1}, later);
  FakeData data;
  Status cleaned = meta.start(data.callbacks(meta));
  if (cleaned) cleaned = meta.clean_stale_sessions();
  if (cleaned) cleaned = meta.delete_files_now(1'000'000);
  if (cleaned) cleaned = meta.clean_unreferenced_slices();
  meta.stop();
  if (!cleaned) return "clean up: " + cleaned.error().to_string();
  dump = target.dump();
  if (!dump) return dump.error().to_string();
  for (const std::string& problem : inconsistencies(*dump)) return "after clean up: " + problem;
  if (!dump->sustained.empty() || !dump->sessions.empty() || !dump->lock_sessions.empty())
    return "a dead session is left";
  if (!dump->deleted_files.empty()) return "deleted files are left";
  return std::nullopt;
}

// All crashes hit one volume, one after the other.
int run_crashes(Options o, Engine engine) {
  const Target target = target_of(engine);
  Volume volume;
  volume.name = "crashes";
  volume.storage = "mem";
  volume.trash_days = o.trash ? 1 : 0;
  {
    auto store = open_store(target.url, true, false);
    if (!store || !format_volume(**store, &volume)) return 1;
  }
  std::optional<std::string> failure;
  for (uint64_t left = o.seeds; left > 0 && !failure; --left, ++o.seed) {
    failure = crash(o, target);
    if (failure)
      std::cerr << "crash of seed " << o.seed << ": " << *failure << "; the database: " << target.url
                << std::endl;
  }
  if (!failure) std::filesystem::remove_all(target.dir);
  return failure ? 1 : 0;
}

int run_seeds(const Options& o, Engine engine) {
  RandomSetup setup{engine, o.seed, o.operations, o.trash, o.verbose};
  for (uint64_t left = o.seeds; left > 0; --left, ++setup.seed) {
    auto failure = o.mode == "model"    ? compare_with_model(setup)
                   : o.mode == "linear" ? check_order(setup, static_cast<size_t>(o.threads))
                                        : race(setup, o.threads);
    if (!failure) continue;
    std::cerr << *failure << std::endl;
    return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app("Random metadata operations, reproducible by their seed");
  app.add_option("--mode", o.mode,
                 "model: two clients in turn, compared with a model; race: threads on two clients; "
                 "linear: clients race for a few names, and an order must explain their answers; "
                 "crash: a client that is killed, on an engine that outlives it")
      ->check(CLI::IsMember({"model", "race", "linear", "crash"}));
  std::vector<std::string> names;
  for (Engine engine : all_engines()) names.push_back(engine_name(engine));
  app.add_option("--engine", o.engine, "where the metadata is")->check(CLI::IsMember(names));
  app.add_option("--seed", o.seed, "the first seed");
  app.add_option("--seeds", o.seeds, "how many, one after the other");
  app.add_option("--ops", o.operations, "operations per seed (race, linear: and thread)");
  app.add_option("--threads", o.threads, "in races and crashes");
  app.add_flag("--trash", o.trash, "the volume has a trash");
  app.add_flag("--verbose", o.verbose, "print each operation");
  CLI11_PARSE(app, argc, argv);
  if (o.mode == "linear") log::set_level(log::Level::error);  // connections that we break are no news
  if (o.mode == "crash" && !traits(*engine_of(o.engine)).make) {
    std::cerr << "nothing of the engine " << o.engine << " outlives a client" << std::endl;
    return 2;
  }
  int result = o.mode == "crash" ? run_crashes(o, *engine_of(o.engine)) : run_seeds(o, *engine_of(o.engine));
  if (result == 0)
    std::cout << o.mode << ": " << o.seeds << " seeds from " << o.seed << " passed" << std::endl;
  return result;
}
