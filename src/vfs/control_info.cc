#include "vfs/control_info.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/overlay.h"
#include "chunk/block_store.h"

namespace cider::vfs {
namespace {

using Json = nlohmann::ordered_json;

// A piece of a file, as slice or (with key) as object.
struct Piece {
  uint64_t chunk = 0;
  std::string key;  // empty: a hole
  Slice slice;      // size, off, len of the object where key is set
};

chunk::Layout layout_of(const meta::Volume& volume) {
  return {.block_size = static_cast<uint32_t>(volume.block_size) * 1024, .hash_prefix = volume.hash_prefix};
}

// The blocks that bytes [slice.off, +len) of a slice lie in.
void add_objects(const meta::Volume& volume, uint64_t chunk_index, const Slice& slice,
                 std::vector<Piece>* out) {
  if (slice.id == 0) {
    out->push_back({chunk_index, "", slice});
    return;
  }
  const chunk::Layout layout = layout_of(volume);
  uint32_t off = slice.off;
  const uint32_t end = slice.off + slice.len;
  while (off < end) {
    const uint32_t index = off / layout.block_size;
    const uint32_t length = chunk::block_length(layout, slice.size, index);
    const uint32_t in_block = off - index * layout.block_size;
    const uint32_t len = std::min(end - off, length - in_block);
    if (length <= in_block) return;  // a record beyond its slice
    out->push_back({chunk_index,
                    volume.name + "/" + chunk::block_key(layout, slice.id, index, length),
                    {.id = slice.id, .size = length, .off = in_block, .len = len}});
    off += len;
  }
}

Result<std::vector<Piece>> pieces_of(meta::Meta& meta, const Caller& caller, Ino ino, bool raw) {
  const meta::Attr attr = TRY(meta.getattr(ino));
  const auto volume = meta.volume();
  std::vector<Piece> out;
  for (uint64_t index = 0; index * kChunkSize < attr.length; ++index) {
    if (caller.interrupt.stop_requested()) return fail(EINTR);
    const auto records = TRY(meta.chunk(ino, static_cast<uint32_t>(index)));
    if (records.empty()) continue;
    const auto end = static_cast<uint32_t>(std::min(kChunkSize, attr.length - index * kChunkSize));
    for (const Slice& slice : Overlay(records).extents(0, end)) {
      if (raw) {
        out.push_back({index, "", slice});
      } else {
        add_objects(*volume, index, slice, &out);
      }
    }
  }
  return out;
}

Json piece_json(const Piece& piece, bool raw) {
  Json json = {{"ChunkIndex", piece.chunk}};
  if (raw) {
    json["Id"] = piece.slice.id;
  } else {
    json["Key"] = piece.key;
  }
  json["Size"] = piece.slice.size;
  json["Off"] = piece.slice.off;
  json["Len"] = piece.slice.len;
  return json;
}

Json list(const std::vector<Piece>& pieces, bool raw) {
  Json json;  // null where there are none, as Go writes an empty list
  for (const Piece& piece : pieces) json.push_back(piece_json(piece, raw));
  return json;
}

Status add_locks(meta::Meta& meta, Ino ino, Json* json) {
  std::vector<meta::Flock> flocks;
  std::vector<meta::Plock> plocks;
  TRY(meta.store().read(
      [&](meta::Transaction& tx) -> Status {
        auto& flock = tx.ask(meta::FlocksRead{ino, {}});
        auto& plock = tx.ask(meta::PlocksRead{ino, {}});
        TRY(tx.fetch());
        flocks = flock.table;
        plocks = plock.table;
        return {};
      },
      {}));
  Json records;
  for (const meta::Plock& lock : plocks) {
    for (const meta::PlockRange& range : lock.ranges) {
      records.push_back({{"Sid", lock.holder.sid},
                         {"Owner", lock.holder.owner},
                         {"Type", static_cast<uint32_t>(range.kind)},
                         {"Pid", range.pid},
                         {"Start", range.start},
                         {"End", range.end}});
    }
  }
  Json whole;
  for (const meta::Flock& lock : flocks) {
    whole.push_back({{"Sid", lock.holder.sid},
                     {"Owner", lock.holder.owner},
                     {"Type", lock.kind == meta::LockKind::write ? "W" : "R"}});
  }
  (*json)["PLocks"] = std::move(records);
  (*json)["FLocks"] = std::move(whole);
  return {};
}

Json tier_json(meta::Meta& meta, Ino ino) {
  Json json = {{"ID", 0}, {"StorageClass", ""}, {"Tag", ""}};
  const auto attr = meta.getattr(ino);
  if (!attr) return json;
  const auto volume = meta.volume();
  const auto tier = volume->tiers.find(attr->tier);
  json["ID"] = attr->tier;
  if (tier != volume->tiers.end()) {
    json["StorageClass"] = tier->second.storage_class;
    json["Tag"] = tier->second.tag;
  }
  return json;
}

Json summary_json(const Summary& sum) {
  return {{"Length", sum.length}, {"Size", sum.size}, {"Files", sum.files}, {"Dirs", sum.dirs}};
}

Status add_details(meta::Meta& meta, const Caller& caller, const InfoRequest& request, const Summary& sum,
                   Json* json) {
  (*json)["Paths"] = TRY(meta.paths(request.ino));
  const bool one_file = sum.files == 1 && sum.dirs == 0;
  const auto pieces =
      one_file ? TRY(pieces_of(meta, caller, request.ino, request.raw)) : std::vector<Piece>{};
  (*json)["Chunks"] = request.raw ? list(pieces, true) : Json();
  (*json)["Objects"] = request.raw ? Json() : list(pieces, false);
  TRY(add_locks(meta, request.ino, json));
  (*json)["Tier"] = tier_json(meta, request.ino);
  return {};
}

// "5.00 KiB (5120 Bytes)"
std::string bytes_text(uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + " Bytes";
  constexpr const char* kUnits = "KMGTPE";
  int unit = 0;
  double value = static_cast<double>(bytes) / 1024;
  for (; value >= 1024 && unit < 5; ++unit) value /= 1024;
  char text[64];
  snprintf(text, sizeof text, "%.2f %ciB (%llu Bytes)", value, kUnits[unit],
           static_cast<unsigned long long>(bytes));
  return text;
}

}  // namespace

std::string info_reply(meta::Meta& meta, const Caller& caller, const InfoRequest& request,
                       const CountProgress& progress) {
  Json json = {{"Ino", request.ino}, {"Failed", false}, {"Reason", ""}};
  const Result<Summary> sum = summarize(meta, caller, request.ino, request.recursive, progress);
  json["Summary"] = summary_json(sum ? *sum : Summary{});
  const Status done = sum ? add_details(meta, caller, request, *sum, &json) : Status(fail(sum.error()));
  if (!done) {
    json["Failed"] = true;
    json["Reason"] = done.error().to_string();
  }
  json["RestoreStatus"] = "";
  return data_frame(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::string legacy_info_reply(meta::Meta& meta, const Caller& caller, const InfoRequest& request,
                              const CountProgress& progress) {
  std::string text;
  const auto write = [&]() -> Status {
    const Summary sum = TRY(summarize(meta, caller, request.ino, request.recursive, progress));
    text = "  inode: " + std::to_string(request.ino) + "\n  files: " + std::to_string(sum.files) +
           "\n   dirs: " + std::to_string(sum.dirs) + "\n length: " + bytes_text(sum.length) +
           "\n   size: " + bytes_text(sum.size) + "\n";
    const auto paths = TRY(meta.paths(request.ino));
    if (paths.size() > 1) text += "  paths:\n";
    for (const std::string& path : paths) text += (paths.size() > 1 ? "\t" : "   path: ") + path + "\n";
    if (paths.empty()) text += "   path: unknown\n";
    if (sum.files != 1 || sum.dirs != 0) return {};
    text += request.raw ? " chunks:\n" : "objects:\n";
    for (const Piece& piece : TRY(pieces_of(meta, caller, request.ino, request.raw))) {
      const std::string name = request.raw ? std::to_string(piece.slice.id) : piece.key;
      text += "\t" + std::to_string(piece.chunk) + ":\t" + name + "\t" + std::to_string(piece.slice.size) +
              "\t" + std::to_string(piece.slice.off) + "\t" + std::to_string(piece.slice.len) + "\n";
    }
    return {};
  };
  const Status written = write();
  if (!written) text = written.error().to_string();
  return ByteWriter().u32(static_cast<uint32_t>(text.size())).raw(text).take();
}

}  // namespace cider::vfs
