#include "vfs/control_commands.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "vfs/control_fill.h"
#include "vfs/control_info.h"
#include "vfs/tree_summary.h"
#include "vfs/tree_walk.h"

namespace cider::vfs {
namespace {

using Json = nlohmann::ordered_json;

Json tree_json(const TreeSummary& tree) {
  Json json = {{"Inode", tree.ino},     {"Path", tree.path},       {"Type", static_cast<int>(tree.type)},
               {"Size", tree.sum.size}, {"Files", tree.sum.files}, {"Dirs", tree.sum.dirs}};
  for (const TreeSummary& child : tree.children) json["Children"].push_back(tree_json(child));
  return json;
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Who asks through a file is not checked by the kernel for what the request names.
Caller checked(Caller caller) {
  caller.check_permission = true;
  return caller;
}

}  // namespace

Status ControlCommands::remove_tree(const Caller& caller, const RemoveTreeRequest& request,
                                    ControlProgress* progress) {
  if (request.skip_trash && !caller.is_root()) return fail(EPERM);
  const Ino parent = hooks_.inner(request.parent);
  log::info("rmr " + std::to_string(parent) + "/" + request.name +
            (request.skip_trash ? ", past the trash" : ""));
  TRY(meta_.remove_tree(checked(caller), parent, request.name, request.skip_trash, &progress->done));
  hooks_.entry_gone(parent, request.name);
  return {};
}

// Compacts a file's chunks, or those of all files below a directory.
Status ControlCommands::compact(const Caller& caller, const CompactRequest& request,
                                ControlProgress* progress) {
  if (!caller.is_root()) return fail(EPERM);
  const auto compact_file = [&](Ino ino, const meta::Attr& attr) -> Status {
    const uint64_t chunks = (attr.length + kChunkSize - 1) / kChunkSize;
    progress->done += chunks;
    for (uint64_t index = 0; index < chunks; ++index) {
      if (caller.interrupt.stop_requested()) return fail(EINTR);
      TRY(meta_.compact(ino, static_cast<uint32_t>(index), true));
      ++progress->total;
    }
    return {};
  };
  const Ino ino = hooks_.inner(request.ino);
  const meta::Attr attr = TRY(meta_.getattr(ino));
  if (attr.is_file()) return compact_file(ino, attr);
  if (!attr.is_dir()) return fail(EINVAL);
  return walk_tree(meta_, caller, ino, true, [&](const meta::ListedEntry& entry) -> Status {
    return entry.attr->is_file() ? compact_file(entry.entry.ino, *entry.attr) : Status{};
  });
}

std::string ControlCommands::fill_cache(const Caller& caller, const FillCacheRequest& request,
                                        ControlProgress* progress) {
  if (!hooks_.fill) return error_frame(ENOTSUP);
  const auto count = [](uint64_t, uint64_t) {};
  if (!request.background) {
    return fill_reply(meta_, *hooks_.fill, checked(caller), hooks_.root, request,
                      [progress](uint64_t files, uint64_t bytes) {
                        progress->done += files;
                        progress->total += bytes;
                      });
  }
  std::lock_guard lock(mutex_);
  if (stopped_) return error_frame(EINTR);
  background_.emplace_back([this, who = checked(caller), request, count](std::stop_token stop) mutable {
    who.interrupt = std::move(stop);
    (void)fill_reply(meta_, *hooks_.fill, who, hooks_.root, request, count);
    log::info("warmup in the background has ended");
  });
  return data_frame("{}");
}

void ControlCommands::stop() {
  std::list<std::jthread> ending;
  std::lock_guard lock(mutex_);
  stopped_ = true;
  ending.swap(background_);
}

std::string ControlCommands::run(const Caller& caller, const ControlRequest& request,
                                 ControlProgress* progress) {
  const CountProgress count = [progress](uint64_t entries, uint64_t bytes) {
    progress->done += entries;
    progress->total += bytes;
  };
  if (const auto* rmr = std::get_if<RemoveTreeRequest>(&request)) {
    return error_frame(code_of(remove_tree(caller, *rmr, progress)));
  }
  if (const auto* wanted = std::get_if<CompactRequest>(&request)) {
    return error_frame(code_of(compact(caller, *wanted, progress)));
  }
  if (const auto* wanted = std::get_if<SummaryRequest>(&request)) {
    const auto tree =
        summarize_tree(meta_, caller, hooks_.inner(wanted->ino), std::min<unsigned>(wanted->depth, 10),
                       std::min<unsigned>(wanted->top, 100), count);
    return data_frame(dump({{"Errno", code_of(tree)}, {"Tree", tree_json(tree ? *tree : TreeSummary{})}}));
  }
  if (const auto* wanted = std::get_if<FillCacheRequest>(&request)) {
    return fill_cache(caller, *wanted, progress);
  }
  if (std::holds_alternative<FlushAllRequest>(request)) {
    const Status stored = hooks_.flush_all(caller.interrupt, [progress](uint64_t blocks, uint64_t bytes) {
      progress->done = blocks;
      progress->total = bytes;
    });
    return data_frame(
        dump({{"Errno", code_of(stored)}, {"Reason", stored ? "" : stored.error().to_string()}}));
  }
  InfoRequest info = std::get<InfoRequest>(request);
  info.ino = hooks_.inner(info.ino);
  return info.legacy ? legacy_info_reply(meta_, caller, info, count) : info_reply(meta_, caller, info, count);
}

}  // namespace cider::vfs
