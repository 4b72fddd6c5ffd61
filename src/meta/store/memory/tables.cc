#include "meta/store/memory/tables.h"

#include <algorithm>

#include "base/clock.h"
#include "base/overloaded.h"
#include "meta/store/path_walk.h"

namespace cider::meta {
namespace {

template <class Map, class Key>
auto find_value(const Map& map, const Key& key) -> std::optional<typename Map::mapped_type> {
  auto it = map.find(key);
  if (it == map.end()) return std::nullopt;
  return it->second;
}

// Where a touch puts the ctime: see PatchNode.
Time moved(Time ctime, Time to) {
  const int64_t was = to_nanos(ctime);
  const int64_t now = to_nanos(to);
  constexpr int64_t kWrongClock = 3'000'000'000;
  return was < now || was - now > kWrongClock ? to : from_nanos(was + 1);
}

}  // namespace

void MemoryStore::Tables::answer(ReadItem* item) const {
  auto find_entry = [&](Ino parent, std::string_view name) -> std::optional<Entry> {
    auto dir = entries.find(parent);
    if (dir == entries.end()) return std::nullopt;
    auto row = dir->second.find(name);
    if (row == dir->second.end()) return std::nullopt;
    return row->second.entry;
  };
  auto look_up = [&](LookupRead& r) {
    r.value = find_entry(r.parent, r.name);
    r.attr = r.value ? find_value(nodes, r.value->ino) : std::nullopt;
  };
  std::visit(
      Overloaded{
          [&](AttrRead& r) { r.value = find_value(nodes, r.ino); },
          [&](EntryRead& r) { r.value = find_entry(r.parent, r.name); },
          [&](LookupRead& r) { look_up(r); },
          [&](PathRead& r) {
            // Nothing in memory fails to answer.
            (void)walk_path(&r, [&](LookupRead* step) -> Status {
              look_up(*step);
              return {};
            });
          },
          [&](DirEmptyRead& r) {
            auto dir = entries.find(r.ino);
            r.empty = dir == entries.end() || dir->second.empty();
          },
          [&](SymlinkRead& r) { r.target = find_value(symlinks, r.ino); },
          [&](XattrRead& r) {
            auto all = xattrs.find(r.ino);
            r.value = all == xattrs.end() ? std::nullopt : find_value(all->second, r.name);
          },
          [&](XattrNamesRead& r) {
            r.names.clear();
            if (auto all = xattrs.find(r.ino); all != xattrs.end()) {
              for (const auto& [name, value] : all->second) r.names.push_back(name);
            }
          },
          [&](ChunkRead& r) {
            r.records = find_value(chunks, std::pair(r.ino, r.index)).value_or("");
            size_t most = r.most * kSliceRecordSize;
            if (most > 0 && r.records.size() > most) r.records.resize(most);
          },
          [&](ChunkRangeRead& r) {
            r.chunks.clear();
            for (auto it = chunks.lower_bound({r.ino, r.first});
                 it != chunks.end() && it->first.first == r.ino && it->first.second <= r.last; ++it) {
              r.chunks.emplace(it->first.second, it->second);
            }
          },
          [&](ParentsRead& r) { r.parents = find_value(parents, r.ino).value_or(std::map<Ino, uint32_t>{}); },
          [&](SliceRefRead& r) { r.refs = find_value(refs, std::pair(r.id, r.size)); },
          [&](FlocksRead& r) { r.table = find_value(flocks, r.ino).value_or(std::vector<Flock>{}); },
          [&](PlocksRead& r) { r.table = find_value(plocks, r.ino).value_or(std::vector<Plock>{}); },
          [&](LockWaitsRead& r) {
            r.waits.clear();
            for (const auto& [holder, wait] : waits) r.waits.push_back(wait);
          },
          [&](HolderLocksRead& r) {
            r.inodes.clear();
            for (const auto& [ino, table] : plocks) {
              for (const Plock& lock : table) {
                if (lock.holder == r.holder) r.inodes.push_back(ino);
              }
            }
          },
          [&](SessionRead& r) {
            auto session = sessions.find(r.sid);
            r.expire = session == sessions.end() ? std::nullopt : std::optional(session->second.expire);
          },
          [&](SustainedRead& r) {
            r.sids.clear();
            for (auto it = sustained.lower_bound({r.ino, 0}); it != sustained.end() && it->first == r.ino;
                 ++it) {
              r.sids.push_back(it->second);
            }
          },
          [&](UsageRead& r) {
            r.space = find_value(counters, counter_name(Counter::used_space)).value_or(0);
            r.inodes = find_value(counters, counter_name(Counter::total_inodes)).value_or(0);
          },
          [&](DirStatRead& r) { r.stat = find_value(dir_stats, r.ino); },
          [&](DelayedSlicesRead& r) {
            auto it = delayed.find(r.id);
            r.records = it == delayed.end() ? std::nullopt : std::optional(it->second.second);
          },
      },
      *item);
}

Status MemoryStore::Tables::check(const WriteItem& item) const {
  auto entry_is = [&](Ino parent, const std::string& name, const Entry& entry) {
    auto dir = entries.find(parent);
    if (dir == entries.end()) return false;
    auto row = dir->second.find(name);
    return row != dir->second.end() && row->second.entry == entry;
  };
  bool ok = std::visit(
      Overloaded{
          [&](const InsertNode& w) { return !nodes.contains(w.ino); },
          [&](const PatchNode& w) { return nodes.contains(w.ino); },
          [&](const InsertEntry& w) {
            auto dir = entries.find(w.parent);
            return dir == entries.end() || !dir->second.contains(w.name);
          },
          [&](const ReplaceEntry& w) { return entry_is(w.parent, w.name, w.old_entry); },
          [&](const DeleteEntry& w) { return entry_is(w.parent, w.name, w.old_entry); },
          [&](const InsertSliceRef& w) { return !refs.contains({w.id, w.size}); },
          [&](const ReplaceSlices& w) {
            return find_value(chunks, std::pair(w.ino, w.index)).value_or("").starts_with(w.prefix);
          },
          [](const auto&) { return true; },
      },
      item);
  if (ok) return {};
  if (std::holds_alternative<InsertNode>(item)) return fail(kInodeTaken, "inode number given twice");
  if (std::holds_alternative<InsertSliceRef>(item)) return fail(EEXIST, "slice id used before");
  return fail(EIO, "a write does not match its read set");
}

void MemoryStore::Tables::apply(const WriteItem& item) {
  std::visit(
      Overloaded{
          [&](const InsertNode& w) { nodes.emplace(w.ino, w.attr); },
          [&](const PatchNode& w) {
            Attr& attr = nodes.at(w.ino);
            copy_fields(&attr, w.values, w.set);
            attr.nlink += w.nlink_delta;
            if (w.touch) {
              const Time time = moved(attr.ctime, *w.touch);
              if (!(w.set & field::mtime)) attr.mtime = time;
              if (!(w.set & field::ctime)) attr.ctime = time;
            } else if (w.touch_ctime && !(w.set & field::ctime)) {
              attr.ctime = moved(attr.ctime, *w.touch_ctime);
            }
            if (w.after) *w.after = attr;
          },
          [&](const DeleteNode& w) {
            nodes.erase(w.ino);
            symlinks.erase(w.ino);
            xattrs.erase(w.ino);
            parents.erase(w.ino);
          },
          [&](const InsertEntry& w) { entries[w.parent].emplace(w.name, DirRow{w.entry, ++last_row_id}); },
          [&](const ReplaceEntry& w) { entries[w.parent].find(w.name)->second.entry = w.entry; },
          [&](const DeleteEntry& w) {
            auto dir = entries.find(w.parent);
            dir->second.erase(w.name);
            if (dir->second.empty()) entries.erase(dir);
          },
          [&](const SetSymlink& w) { symlinks[w.ino] = w.target; },
          [&](const SetXattr& w) { xattrs[w.ino][w.name] = w.value; },
          [&](const RemoveXattr& w) { xattrs[w.ino].erase(w.name); },
          [&](const AddParent& w) {
            auto& map = parents[w.ino];
            uint32_t& count = map[w.parent];
            count += w.delta;
            if (count == 0) map.erase(w.parent);
          },
          [&](const AppendSlices& w) {
            std::string& records = chunks[{w.ino, w.index}];
            records += w.records;
            if (w.count) *w.count = records.size() / kSliceRecordSize;
          },
          [&](const HoleOverChunks& w) {
            for (auto it = chunks.lower_bound({w.ino, w.first});
                 it != chunks.end() && it->first.first == w.ino && it->first.second <= w.last; ++it) {
              append_slice(&it->second, Slice{0, 0, 0, 0, kChunkSize});
            }
          },
          [](const LeaveChunks&) {},  // a file's chunks are found by its number
          [&](const ReplaceSlices& w) {
            auto chunk = chunks.try_emplace({w.ino, w.index}).first;
            chunk->second.replace(0, w.prefix.size(), w.records);
            if (chunk->second.empty()) chunks.erase(chunk);
          },
          [&](const DeleteChunk& w) { chunks.erase({w.ino, w.index}); },
          [&](const InsertSliceRef& w) { refs.emplace(std::pair(w.id, w.size), w.refs); },
          [&](const AddSliceRef& w) {
            auto it = refs.find({w.id, w.size});
            if (it != refs.end()) it->second += w.delta;
          },
          [&](const DeleteSliceRef& w) {
            auto it = refs.find({w.id, w.size});
            if (it != refs.end() && it->second <= 0) refs.erase(it);
          },
          [&](const PutDelayedSlices& w) { delayed[w.id] = {w.deleted, w.records}; },
          [&](const DeleteDelayedSlices& w) { delayed.erase(w.id); },
          [&](const PutSustained& w) { sustained.emplace(w.ino, w.sid); },
          [&](const DeleteSustained& w) { sustained.erase({w.ino, w.sid}); },
          [&](const PutDeletedFile& w) { deleted_files[w.ino] = DeletedFile{w.ino, w.length, w.deleted}; },
          [&](const DeleteDeletedFile& w) { deleted_files.erase(w.ino); },
          [&](const PutFlock& w) {
            auto& table = flocks[w.ino];
            std::erase_if(table, [&](const Flock& l) { return l.holder == w.lock.holder; });
            table.push_back(w.lock);
          },
          [&](const DeleteFlock& w) {
            auto& table = flocks[w.ino];
            std::erase_if(table, [&](const Flock& l) { return l.holder == w.holder; });
            if (table.empty()) flocks.erase(w.ino);
          },
          [&](const PutPlock& w) {
            auto& table = plocks[w.ino];
            std::erase_if(table, [&](const Plock& l) { return l.holder == w.lock.holder; });
            if (!w.lock.ranges.empty()) table.push_back(w.lock);
            if (table.empty()) plocks.erase(w.ino);
          },
          [&](const PutLockWait& w) { waits[w.wait.waiter] = w.wait; },
          [&](const DeleteLockWait& w) { waits.erase(w.waiter); },
          [&](const DeleteSession& w) {
            sessions.erase(w.sid);
            for (auto& [ino, table] : flocks)
              std::erase_if(table, [&](const Flock& l) { return l.holder.sid == w.sid; });
            for (auto& [ino, table] : plocks)
              std::erase_if(table, [&](const Plock& l) { return l.holder.sid == w.sid; });
            std::erase_if(waits, [&](const auto& kv) { return kv.first.sid == w.sid; });
          },
          [&](const AddUsage& w) {
            counters[std::string(counter_name(Counter::used_space))] += w.space;
            counters[std::string(counter_name(Counter::total_inodes))] += w.inodes;
          },
          [&](const CreateDirStat& w) { dir_stats.emplace(w.ino, DirStat{}); },
          [&](const AddDirStat& w) {
            auto it = dir_stats.find(w.ino);
            if (it == dir_stats.end()) return;
            it->second.length += w.delta.length;
            it->second.space += w.delta.space;
            it->second.inodes += w.delta.inodes;
          },
          [&](const DeleteDirStat& w) { dir_stats.erase(w.ino); },
      },
      item);
}

}  // namespace cider::meta
