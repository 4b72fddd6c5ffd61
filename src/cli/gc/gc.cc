// `ciderfs gc`: finds what a volume keeps for nobody, and deletes it; corrects counts; compacts.
#include <algorithm>
#include <cstdlib>

#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/gc/compactor.h"
#include "cli/gc/mend_counts.h"
#include "cli/gc/stored_blocks.h"
#include "cli/gc/volume_under_gc.h"
#include "cli/terminal.h"
#include "meta/gc/scan.h"

namespace cider::cli {
namespace {

constexpr int64_t kHour = 3600;
constexpr int64_t kDay = 24 * kHour;

constexpr Option kOptions[] = {
    {.name = "delete",
     .help = "delete leaked objects, deleted files' data, and replaced slices and files in the trash whose "
             "time has come; correct counts"},
    {.name = "compact",
     .help = "rewrite chunks of several slices as one, and what is left of packs that are mostly unused"},
    {.name = "threads",
     .alias = "p",
     .type = OptionType::integer,
     .fallback = "10",
     .help = "objects to delete, or chunks to compact, at once"},
};

struct Plan {
  bool remove = false;
  bool compact = false;
  int threads = 10;
  int64_t now = 0;
  int64_t age = kHour;  // seconds: younger objects are left alone
};

struct Report {
  Tally in_files;
  Tally pending;
  Tally replaced;
  Tally leaked;
  Tally deleted_files;
  Tally trash_slices;
};

// JuiceFS's variable, for tests: on a volume in use a short time deletes what is still to be committed.
Result<int64_t> age_to_skip() {
  const char* text = std::getenv("JFS_GC_SKIPPEDTIME");
  if (text == nullptr || *text == '\0') return kHour;
  const auto seconds = parse_integer(text);
  if (!seconds || *seconds < 0)
    return fail(EINVAL,
                "JFS_GC_SKIPPEDTIME must be a number of seconds, it is \"" + std::string(text) + "\"");
  return *seconds;
}

Status count_pending(meta::Store& store, Report* report) {
  TRY(meta::each_deleted_file(store, [&](const meta::DeletedFile& file) -> Status {
    report->deleted_files.add(file.length);
    return {};
  }));
  return meta::each_delayed(store, [&](const meta::DelayedList& list) -> Status {
    for (const meta::DelayedSlice& slice : list.slices) report->trash_slices.add(slice.size);
    return {};
  });
}

// Sorts the blocks by their use; answers those that are leaked.
std::vector<StoredBlock> sort_blocks(const StoredBlocks& stored, const meta::SliceTable& slices,
                                     const chunk::Layout& layout, Report* report) {
  std::vector<StoredBlock> leaked;
  for (const StoredBlock& block : stored.blocks) {
    const BlockUse use = use_of(block, slices, layout);
    Tally& tally = use == BlockUse::in_file    ? report->in_files
                   : use == BlockUse::pending  ? report->pending
                   : use == BlockUse::replaced ? report->replaced
                                               : report->leaked;
    tally.add(block.object_size);
    if (use == BlockUse::leaked) leaked.push_back(block);
  }
  return leaked;
}

// Looks for the slices of leaked blocks a second time, and leaves out what is named now: one scan misses a
// slice that moves, behind it, from a file to its copy.
Status confirm(meta::Store& store, const chunk::Layout& layout, std::vector<StoredBlock>* leaked) {
  if (leaked->empty()) return {};
  std::vector<uint64_t> ids;
  for (const StoredBlock& block : *leaked) ids.push_back(block.slice);
  std::ranges::sort(ids);
  meta::SliceTable named;
  TRY(meta::scan_slices(store, &named, [&](uint64_t id) { return std::ranges::binary_search(ids, id); }));
  std::erase_if(*leaked,
                [&](const StoredBlock& block) { return use_of(block, named, layout) != BlockUse::leaked; });
  return {};
}

// Runs `job` until `next` answers what it answered before, or nothing.
template <class Next, class Job>
Status repeat(Next next, Job job) {
  for (auto before = TRY(next()); before != 0;) {
    TRY(job());
    const auto now = TRY(next());
    if (now == before) return {};
    before = now;
  }
  return {};
}

// What the jobs of a mount do with time, done now. JuiceFS keeps neither files nor slices of a volume without
// a trash; there, too, replaced slices stay until nobody can be reading them.
Status clean(meta::Meta& meta, const Plan& plan) {
  meta::Store& store = meta.store();
  const int64_t days = meta.volume()->trash_days;
  if (days > 0) TRY(meta.clean_trash(Time{plan.now - days * kDay, 0}));
  const int64_t end_of_time = plan.now + kDay;
  TRY(repeat(
      [&]() -> Result<uint64_t> {
        const auto files = TRY(store.deleted_files(end_of_time, 1));
        return files.empty() ? 0 : files.front().ino;
      },
      [&] { return meta.delete_files_now(10'000, -kDay); }));
  const int64_t kept = std::max(days * kDay, std::min(meta::Meta::kDelayedGrace, plan.age));
  TRY(repeat(
      [&]() -> Result<uint64_t> {
        const auto rows = TRY(store.delayed_slices(plan.now - kept, 1));
        return rows.empty() ? 0 : rows.front().id;
      },
      [&] { return meta.clean_delayed_slices(Time{plan.now - kept, 0}); }));
  return repeat(
      [&]() -> Result<uint64_t> {
        const auto slices = TRY(store.unreferenced_slices(1));
        return slices.empty() ? 0 : slices.front().id;
      },
      [&] { return meta.clean_unreferenced_slices(); });
}

std::vector<std::string> row(const char* what, const Tally& tally) {
  return {what, std::to_string(tally.count), short_size(tally.bytes)};
}

void print_report(const StoredBlocks& stored, const Report& report, const CountReport& counts) {
  print(table({{"Objects and records", "Number", "Size"},
               row("objects that files have", report.in_files),
               row("objects that wait for deletion", report.pending),
               row("objects of replaced slices", report.replaced),
               row("leaked objects", report.leaked),
               row("objects too young to tell", stored.skipped),
               row("files deleted, with data", report.deleted_files),
               row("replaced slices in the trash", report.trash_slices)},
              0));
  if (stored.other > 0)
    print_line(std::to_string(stored.other) + " objects below chunks/ are no blocks; they are left alone");
  if (counts.small + counts.large > 0) {
    print_line("reference counts: " + std::to_string(counts.small) + " too small, " +
               std::to_string(counts.large) + " too large (some may just be changing)");
  }
}

Result<uint64_t> compact(VolumeUnderGc& volume, const StoredBlocks& stored, const meta::SliceTable& slices,
                         const Plan& plan) {
  const Compacted compacted = TRY(compact_chunks(volume.meta(), plan.threads));
  print_line("compacted " + std::to_string(compacted.chunks) + " chunks of " +
             std::to_string(compacted.records) + " slices");
  const SparsePacks packs = find_sparse_packs(stored, slices, volume.layout());
  const Repacked moved = TRY(leave_packs(volume.meta(), packs, volume.layout()));
  print_line("moved " + std::to_string(moved.records) + " parts (" + short_size(moved.bytes) + ") of " +
             std::to_string(packs.size()) + " packs to " + std::to_string(moved.packs) + " new ones");
  return compacted.failed + moved.failed;
}

Result<int> collect(VolumeUnderGc& volume, const Plan& plan) {
  meta::Store& store = volume.meta().store();
  // Objects before records: a block is stored first and named later, so the records of all that is listed and
  // old enough are there when they are read. The other way round, what was committed in between would have no
  // record.
  const Time newest{plan.now - plan.age, 0};
  const StoredBlocks stored = TRY(list_blocks(volume.objects(), volume.layout(), newest));
  meta::SliceTable slices;
  TRY(meta::scan_slices(store, &slices));
  Report report;
  TRY(count_pending(store, &report));
  std::vector<StoredBlock> leaked = sort_blocks(stored, slices, volume.layout(), &report);
  uint64_t failed = 0;

  // Counts come first: all that follows takes references off, and deletes what has none.
  const bool writes = plan.remove || plan.compact;
  const MendPlan mend{.raise = writes, .lower = plan.remove, .now = plan.now, .apart = plan.age};
  const CountReport counts = TRY(mend_counts(volume.meta(), volume.objects(), slices, mend));
  print_report(stored, report, counts);
  if (writes) print_line(describe_mended(counts));

  if (plan.remove) {
    TRY(confirm(store, volume.layout(), &leaked));
    failed += remove_blocks(volume.objects(), volume.layout(), leaked, plan.threads);
    print_line("deleted " + std::to_string(leaked.size() - failed) + " leaked objects");
    TRY(clean(volume.meta(), plan));
  } else if (!leaked.empty()) {
    print_line("--delete deletes leaked objects");
  }
  if (plan.compact) failed += TRY(compact(volume, stored, slices, plan));
  if (failed > 0) warn(std::to_string(failed) + " objects or chunks could not be done; the log says why");
  return failed > 0 ? 1 : 0;
}

Status check(const Arguments& arguments) {
  const int64_t threads = arguments.integer("threads");
  if (threads < 1 || threads > 1000) return fail(EINVAL, "--threads must be from 1 to 1000");
  TRY(age_to_skip());
  return check_meta_url(arguments[0]);
}

Result<int> run(const Arguments& arguments) {
  Plan plan;
  plan.remove = arguments.flag("delete");
  plan.compact = arguments.flag("compact");
  plan.threads = static_cast<int>(arguments.integer("threads"));
  plan.age = TRY(age_to_skip());
  plan.now = Clock::system().now().sec;
  auto volume = TRY(VolumeUnderGc::open(arguments[0], plan.remove || plan.compact, plan.threads));
  return collect(*volume, plan);
}

}  // namespace

const Command kGcCommand = {
    .name = "gc",
    .category = "ADMIN",
    .usage = "META-URL",
    .summary = "Find and delete what a volume's storage keeps for nobody",
    .description =
        R"(Compares the objects with the metadata. Without options it only reports. An object is leaked when no
record names it; objects younger than an hour are passed over, as they may be about to be named
(JFS_GC_SKIPPEDTIME: other seconds). Counts of references that are too small are corrected with --delete or
--compact, those that are too large with --delete, when two runs an hour apart have found them so.

Examples:
  ciderfs gc sqlite3://photos.db
  ciderfs gc sqlite3://photos.db --delete
  ciderfs gc sqlite3://photos.db --compact --threads 4)",
    .options = kOptions,
    .unsupported = {},
    .min_arguments = 1,
    .max_arguments = 1,
    .check = check,
    .run = run,
};

}  // namespace cider::cli
