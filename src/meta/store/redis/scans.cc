#include "meta/store/redis/scans.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <span>

#include "meta/model/slices.h"
#include "meta/store/redis/keys.h"
#include "meta/store/redis/scan_cursor.h"
#include "meta/store/redis/shown_names.h"

namespace cider::meta::redis {
namespace {

constexpr size_t kPage = 1000;  // keys of a pipeline
constexpr std::string_view kScanPage = "2000";
constexpr std::string_view kWideScanPage = "10000";

// HSCAN shows an element again when the hash grows or shrinks meanwhile, or when the scan begins again, so
// names that were shown are remembered.
struct Listing {
  ScanCursor cursor;
  std::deque<ListedEntry> ready;
  ShownNames shown;
};

Result<ListedEntry> entry_of(Ino dir, std::string_view name, std::string_view record) {
  auto entry = decode_entry(record);
  if (!entry) return fail(EIO, "an entry of directory " + std::to_string(dir) + ": " + entry.error().message);
  return ListedEntry{std::string(name), *entry, {}};
}

Status scan_page(Client& client, Ino dir, Listing* listing, const std::stop_token& stop) {
  Reply pairs =
      TRY(listing->cursor.next(client, {"HSCAN", client.key(dir_key(dir))}, {"COUNT", kScanPage}, stop));
  for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
    std::string_view name = pairs[i].text();
    if (!listing->shown.insert(name)) continue;
    listing->ready.push_back(TRY(entry_of(dir, name, pairs[i + 1].text())));
  }
  return {};
}

Status add_attrs(Client& client, std::span<ListedEntry*> entries, const std::stop_token& stop) {
  if (entries.empty()) return {};
  Commands commands;
  for (size_t at = 0; at < entries.size(); at += kPage) {
    const auto page = entries.subspan(at, std::min(kPage, entries.size() - at));
    commands.begin(1 + page.size()).argument("MGET");
    for (const ListedEntry* entry : page) commands.argument(client.key(inode_key(entry->entry.ino)));
  }
  const std::vector<Reply> pages = TRY(client.ask_all(commands, stop));
  for (size_t i = 0; i < entries.size(); ++i) {
    const Reply record = pages[i / kPage][i % kPage];
    if (record.is_nil()) continue;
    auto attr = decode_attr(record.text());
    if (!attr) return fail(EIO, inode_key(entries[i]->entry.ino) + ": " + attr.error().message);
    entries[i]->attr = *std::move(attr);
  }
  return {};
}

// Names whose inode is gone were removed since they were listed, or stand for another one now.
Status look_again(Client& client, Ino dir, std::vector<ListedEntry>* entries, const std::stop_token& stop) {
  std::vector<ListedEntry*> stale;
  Commands commands;
  for (ListedEntry& entry : *entries) {
    if (entry.attr) continue;
    stale.push_back(&entry);
    commands.add("HGET", client.key(dir_key(dir)), entry.name);
  }
  if (stale.empty()) return {};
  std::vector<Reply> records = TRY(client.ask_all(commands, stop));
  for (size_t i = 0; i < stale.size(); ++i) {
    if (records[i].is_nil()) {
      stale[i]->entry.ino = 0;
    } else {
      *stale[i] = TRY(entry_of(dir, stale[i]->name, records[i].text()));
    }
  }
  std::erase_if(stale, [](const ListedEntry* entry) { return entry->entry.ino == 0; });
  TRY(add_attrs(client, stale, stop));
  std::erase_if(*entries, [](const ListedEntry& entry) { return entry.entry.ino == 0; });
  return {};
}

// Calls `each` with the pairs of a hash, with some perhaps twice, until it answers false.
Status scan_hash(Client& client, std::string_view name,
                 FunctionRef<bool(std::string_view, std::string_view)> each) {
  const std::string key = client.key(name);
  ScanCursor cursor;
  while (!cursor.at_end()) {
    Reply pairs = TRY(cursor.next(client, {"HSCAN", key}, {"COUNT", kScanPage}));
    for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
      if (!each(pairs[i].text(), pairs[i + 1].text())) return {};
    }
  }
  return {};
}

}  // namespace

Result<std::vector<ListedEntry>> list_dir(Client& client, Ino dir, DirCursor* cursor, size_t limit,
                                          bool with_attrs, const std::stop_token& stop) {
  std::vector<ListedEntry> out;
  if (cursor->at_end || limit == 0) return out;
  if (!cursor->state) cursor->state = std::make_shared<Listing>();
  auto& listing = *static_cast<Listing*>(cursor->state.get());
  while (listing.ready.size() < limit && !listing.cursor.at_end()) {
    if (stop.stop_requested()) return fail(EINTR);
    TRY(scan_page(client, dir, &listing, stop));
  }
  const auto end = listing.ready.begin() + static_cast<std::ptrdiff_t>(std::min(limit, listing.ready.size()));
  out.assign(listing.ready.begin(), end);
  if (with_attrs) {
    std::vector<ListedEntry*> all;
    for (ListedEntry& entry : out) all.push_back(&entry);
    TRY(add_attrs(client, all, stop));
    TRY(look_again(client, dir, &out, stop));
  }
  listing.ready.erase(listing.ready.begin(), end);
  cursor->at_end = listing.cursor.at_end() && listing.ready.empty();
  if (!out.empty()) cursor->position = out.back().name;
  return out;
}

Result<std::vector<SessionRecord>> list_sessions(Client& client) {
  Commands commands;
  commands.add("ZRANGE", client.key(kSessions), 0, -1, "WITHSCORES");
  commands.add("HGETALL", client.key(kSessionInfos));
  std::vector<Reply> replies = TRY(client.ask_all(commands));
  std::vector<SessionRecord> out;
  for (size_t i = 0; i + 1 < replies[0].size(); i += 2) {
    SessionRecord session;
    session.sid = parse_number<uint64_t>(replies[0][i].text()).value_or(0);
    session.expire = parse_number<int64_t>(replies[0][i + 1].text()).value_or(0);
    for (size_t j = 0; j + 1 < replies[1].size(); j += 2) {
      if (replies[1][j].text() == replies[0][i].text()) session.info = replies[1][j + 1].text();
    }
    out.push_back(std::move(session));
  }
  std::ranges::sort(out, {}, &SessionRecord::sid);
  return out;
}

Result<std::vector<Ino>> sustained_inodes(Client& client, uint64_t sid) {
  Reply reply = TRY(client.ask("SMEMBERS", client.key(sustained_key(sid))));
  std::vector<Ino> out;
  for (size_t i = 0; i < reply.size(); ++i) {
    if (auto ino = parse_number<Ino>(reply[i].text())) out.push_back(*ino);
  }
  std::ranges::sort(out);
  return out;
}

Result<std::vector<RecordLockOwner>> session_locks(Client& client, uint64_t sid) {
  Reply keys = TRY(client.ask("SMEMBERS", client.key(locked_key(sid))));
  std::vector<RecordLockOwner> out;
  for (size_t i = 0; i < keys.size(); ++i) {
    std::string_view name = client.keyspace().name(keys[i].text());
    bool is_flock = name.starts_with("lockf");
    auto ino = parse_number<Ino>(name.substr(std::min<size_t>(name.size(), 5)));
    if (!ino || !(is_flock || name.starts_with("lockp"))) continue;
    Reply fields = TRY(client.ask("HGETALL", keys[i].text()));
    for (size_t j = 0; j + 1 < fields.size(); j += 2) {
      auto holder = parse_holder(fields[j].text());
      if (!holder || holder->sid != sid) continue;
      RecordLockOwner& lock = out.emplace_back(RecordLockOwner{*ino, *holder, is_flock, LockKind::read, {}});
      std::string_view value = fields[j + 1].text();
      if (is_flock) {
        lock.kind = value == "W" ? LockKind::write : LockKind::read;
      } else {
        lock.ranges = TRY(decode_plock_ranges(value));
      }
    }
  }
  std::ranges::sort(out, {}, &RecordLockOwner::ino);
  return out;
}

Result<std::vector<DeletedFile>> deleted_files(Client& client, int64_t before, size_t limit) {
  Reply reply = TRY(client.ask("ZRANGEBYSCORE", client.key(kDeletedFiles), "-inf",
                               "(" + std::to_string(before), "WITHSCORES", "LIMIT", 0, limit));
  std::vector<DeletedFile> out;
  for (size_t i = 0; i + 1 < reply.size(); i += 2) {
    DeletedFile file;
    if (!parse_pair(reply[i].text(), ':', &file.ino, &file.length)) continue;
    file.deleted = parse_number<int64_t>(reply[i + 1].text()).value_or(0);
    out.push_back(file);
  }
  return out;
}

namespace {

// By looking at every key of the server.
Result<std::vector<uint32_t>> chunks_by_scan(Client& client, Ino ino) {
  const std::string head = client.key(chunks_head(ino));
  std::vector<uint32_t> out;
  ScanCursor cursor;
  while (!cursor.at_end()) {
    Reply keys = TRY(cursor.next(client, {"SCAN"}, {"MATCH", head + "*", "COUNT", kWideScanPage}));
    for (size_t i = 0; i < keys.size(); ++i) {
      if (auto index = parse_number<uint32_t>(keys[i].text().substr(head.size()))) out.push_back(*index);
    }
  }
  std::ranges::sort(out);
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

// How many there are of the kChunksLookedFor chunks from here on: cheaper than to ask which.
void add_exists_any(Client& client, Ino ino, uint64_t first, Commands* commands) {
  first = std::min<uint64_t>(first, UINT32_MAX - kChunksLookedFor);
  commands->begin(1 + kChunksLookedFor).argument("EXISTS");
  for (uint32_t i = 0; i < kChunksLookedFor; ++i)
    commands->argument(client.key(chunk_key(ino, static_cast<uint32_t>(first + i))));
}

// Whether looking at so many keys one by one costs more than looking at all of the database.
Result<bool> scan_is_cheaper(Client& client, uint64_t keys) {
  constexpr uint64_t kManyKeys = 10'000;
  return keys > kManyKeys && keys > static_cast<uint64_t>(TRY(client.ask("DBSIZE")).integer());
}

}  // namespace

// Chunks beyond the length were left by truncates: by ours as far as they remembered, by JuiceFS's as long as
// some are found.
Result<std::vector<uint32_t>> chunks_of(Client& client, Ino ino, uint64_t length) {
  constexpr uint64_t kLastChunk = UINT32_MAX;
  std::vector<uint32_t> out;
  uint64_t end = std::min((length + kChunkSize - 1) / kChunkSize, kLastChunk);
  for (uint64_t first = 0;;) {
    const uint64_t last = std::min(end, first + kPage);
    Commands commands;
    commands.add("HGET", client.key(kTruncated), ino);
    add_exists_any(client, ino, end, &commands);
    for (uint64_t i = first; i < last; ++i)
      commands.add("EXISTS", client.key(chunk_key(ino, static_cast<uint32_t>(i))));
    std::vector<Reply> replies = TRY(client.ask_all(commands));
    for (uint64_t i = first; i < last; ++i) {
      if (replies[2 + i - first].integer() == 1) out.push_back(static_cast<uint32_t>(i));
    }
    if (replies[1].integer() > 0) end = std::min(end + kChunksLookedFor, kLastChunk);
    end = std::max<uint64_t>(end, parse_number<uint32_t>(replies[0].text()).value_or(0));
    if (last == end) return out;
    if (TRY(scan_is_cheaper(client, end - last))) return chunks_by_scan(client, ino);
    first = last;
  }
}

// Files that have never had data are asked after many in one flight.
Result<std::vector<DeletedFile>> files_with_chunks(Client& client, std::span<const DeletedFile> files) {
  std::vector<DeletedFile> out;
  std::vector<DeletedFile> empty;
  for (const DeletedFile& file : files) (file.length > 0 ? out : empty).push_back(file);
  if (empty.empty()) return out;
  Commands commands;
  for (const DeletedFile& file : empty) {
    commands.add("HEXISTS", client.key(kTruncated), file.ino);
    add_exists_any(client, file.ino, 0, &commands);
  }
  std::vector<Reply> replies = TRY(client.ask_all(commands));
  for (size_t i = 0; i < empty.size(); ++i) {
    if (replies[2 * i].integer() + replies[2 * i + 1].integer() > 0) out.push_back(empty[i]);
  }
  return out;
}

Result<std::vector<uint32_t>> chunks_between(Client& client, Ino ino, uint32_t first, uint32_t last) {
  std::vector<uint32_t> out;
  uint64_t end = uint64_t{last} + 1;
  if (TRY(scan_is_cheaper(client, end - first))) {
    out = TRY(chunks_by_scan(client, ino));
    std::erase_if(out, [&](uint32_t index) { return index < first || index > last; });
    return out;
  }
  for (uint64_t at = first; at < end; at += kPage) {
    Commands commands;
    for (uint64_t i = at; i < std::min(end, at + kPage); ++i)
      commands.add("EXISTS", client.key(chunk_key(ino, static_cast<uint32_t>(i))));
    std::vector<Reply> replies = TRY(client.ask_all(commands));
    for (size_t i = 0; i < replies.size(); ++i) {
      if (replies[i].integer() == 1) out.push_back(static_cast<uint32_t>(at + i));
    }
  }
  return out;
}

Result<std::vector<DelayedSlice>> unreferenced_slices(Client& client, size_t limit) {
  std::vector<DelayedSlice> out;
  TRY(scan_hash(client, kSliceRefs, [&](std::string_view field, std::string_view count) {
    DelayedSlice slice;
    if (count.starts_with('-') && field.starts_with('k') &&
        parse_pair(field.substr(1), '_', &slice.id, &slice.size)) {
      out.push_back(slice);
    }
    return out.size() < limit;
  }));
  return out;
}

Result<std::vector<DelayedRow>> delayed_slices(Client& client, int64_t before, size_t limit) {
  std::vector<DelayedRow> out;
  TRY(scan_hash(client, kDelayedSlices, [&](std::string_view field, std::string_view) {
    DelayedRow row;
    if (parse_pair(field, '_', &row.id, &row.deleted) && row.deleted < before) out.push_back(row);
    return out.size() < limit;
  }));
  return out;
}

}  // namespace cider::meta::redis
