#include "meta/store/sql/server/parts.h"

#include <utility>
#include <variant>

#include "base/overloaded.h"
#include "meta/model/slices.h"

namespace cider::meta::sql::server {
namespace {

// Bytes that sort as the numbers do.
std::string number(uint64_t value) {
  std::string out(8, '\0');
  for (int i = 7; i >= 0; --i, value >>= 8) out[static_cast<size_t>(i)] = static_cast<char>(value);
  return out;
}

constexpr char kUnlocked = '9';

std::string edge_place(Ino parent, std::string_view name) {
  return "3" + number(parent) + std::string(name);
}
std::string chunk_place(Ino ino, uint32_t index) {
  return "5" + number(ino) + "c" + number(index);
}
std::string ref_place(uint64_t id) {
  return "6" + number(id);
}

std::string place_of(const ReadItem& part) {
  return std::visit(
      Overloaded{
          [](const AttrRead& r) { return node_place(r.ino); },
          [](const SessionRead& r) { return "2" + number(r.sid); },
          [](const EntryRead& r) { return edge_place(r.parent, r.name); },
          [](const ParentsRead& r) { return "4" + number(r.ino); },
          [](const ChunkRead& r) { return chunk_place(r.ino, r.index); },
          [](const ChunkRangeRead& r) {
            return "5" + number(r.ino) + "d" + number(r.first) + number(r.last);
          },
          [](const SliceRefRead& r) { return ref_place(r.id) + number(r.size); },
          [](const DelayedSlicesRead& r) { return "7d" + number(r.id); },
          [](const FlocksRead& r) { return "7f" + number(r.ino); },
          [](const PlocksRead& r) { return "7p" + number(r.ino); },
          [](const SymlinkRead& r) { return "7s" + number(r.ino); },
          [](const SustainedRead& r) { return "7t" + number(r.ino); },
          [](const XattrRead& r) { return "7x" + number(r.ino) + r.name; },
          [](const DirEmptyRead& r) { return "9e" + number(r.ino); },
          [](const XattrNamesRead& r) { return "9n" + number(r.ino); },
          [](const HolderLocksRead& r) { return "9h" + number(r.holder.sid) + number(r.holder.owner); },
          [](const DirStatRead& r) { return "9s" + number(r.ino); },
          [](const LockWaitsRead&) { return std::string("9w"); },
          [](const UsageRead&) { return std::string("9u"); },
          [](const LookupRead&) { return std::string("9l"); },  // is two
          [](const PathRead&) { return std::string("9p"); },    // is many
      },
      part);
}

void add(ReadItem part, Parts* out) {
  std::string place = place_of(part);
  out->emplace(std::move(place), std::move(part));
}

void add_node(Ino ino, Parts* out) {
  add(AttrRead{ino, field::all, {}}, out);
}

}  // namespace

std::string node_place(Ino ino) {
  return "1" + number(ino);
}

bool locks_rows(const std::string& place) {
  return place.front() != kUnlocked;
}

void add_parts(const ReadItem& question, const Parts& known, Parts* out) {
  std::visit(Overloaded{
                 [&](const AttrRead& r) { add_node(r.ino, out); },
                 [&](const LookupRead& r) {
                   add(EntryRead{r.parent, r.name, {}}, out);
                   auto entry = known.find(edge_place(r.parent, r.name));
                   if (entry == known.end()) return;
                   const auto& found = std::get<EntryRead>(entry->second).value;
                   if (found) add_node(found->ino, out);
                 },
                 [&](const ChunkRead& r) { add(ChunkRead{r.ino, r.index, false, {}}, out); },
                 [&](const DirEmptyRead& r) {
                   add_node(r.ino, out);
                   add(r, out);
                 },
                 [&](const FlocksRead& r) {
                   add_node(r.ino, out);
                   add(r, out);
                 },
                 [&](const PlocksRead& r) {
                   add_node(r.ino, out);
                   add(r, out);
                 },
                 [&](const ParentsRead& r) {
                   add_node(r.ino, out);
                   add(r, out);
                 },
                 [&](const XattrRead& r) {
                   add_node(r.ino, out);
                   add(r, out);
                 },
                 [&](const ChunkRangeRead& r) {
                   add_node(r.ino, out);
                   add(r, out);
                 },
                 [&](const auto& r) { add(r, out); },
             },
             question);
}

bool answer_from(const Parts& known, ReadItem* question) {
  if (auto* lookup = std::get_if<LookupRead>(question)) {
    auto entry = known.find(edge_place(lookup->parent, lookup->name));
    if (entry == known.end()) return false;
    lookup->value = std::get<EntryRead>(entry->second).value;
    lookup->attr.reset();
    if (!lookup->value) return true;
    auto node = known.find(node_place(lookup->value->ino));
    if (node == known.end()) return false;
    lookup->attr = std::get<AttrRead>(node->second).value;
    return true;
  }
  auto part = known.find(place_of(*question));
  if (part == known.end()) return false;
  if (auto* attr = std::get_if<AttrRead>(question)) {
    attr->value = std::get<AttrRead>(part->second).value;
  } else if (auto* entry = std::get_if<EntryRead>(question)) {
    entry->value = std::get<EntryRead>(part->second).value;
  } else if (auto* ref = std::get_if<SliceRefRead>(question)) {
    ref->refs = std::get<SliceRefRead>(part->second).refs;
  } else if (auto* session = std::get_if<SessionRead>(question)) {
    session->expire = std::get<SessionRead>(part->second).expire;
  } else if (auto* chunk = std::get_if<ChunkRead>(question)) {
    chunk->records = std::get<ChunkRead>(part->second).records;
    const size_t most = chunk->most * kSliceRecordSize;
    if (most > 0 && chunk->records.size() > most) chunk->records.resize(most);
  } else {
    *question = part->second;
  }
  return true;
}

void add_backing(const WriteItem& item, Parts* out) {
  std::visit(Overloaded{
                 [&](const PatchNode& w) { add_node(w.ino, out); },
                 [&](const DeleteEntry& w) { add(EntryRead{w.parent, w.name, {}}, out); },
                 [&](const ReplaceEntry& w) { add(EntryRead{w.parent, w.name, {}}, out); },
                 [&](const ReplaceSlices& w) { add(ChunkRead{w.ino, w.index, false, {}}, out); },
                 [&](const AddSliceRef& w) {
                   if (w.delta > 0) add(SliceRefRead{w.id, w.size, {}}, out);
                 },
                 [](const auto&) {},
             },
             item);
}

bool is_backed(const WriteItem& item, const Parts& known) {
  const auto entry_is = [&](Ino parent, const std::string& name, const Entry& entry) {
    const auto& found = std::get<EntryRead>(known.at(edge_place(parent, name))).value;
    return found && found->ino == entry.ino;
  };
  return std::visit(
      Overloaded{
          [&](const PatchNode& w) {
            return std::get<AttrRead>(known.at(node_place(w.ino))).value.has_value();
          },
          [&](const DeleteEntry& w) { return entry_is(w.parent, w.name, w.old_entry); },
          [&](const ReplaceEntry& w) { return entry_is(w.parent, w.name, w.old_entry); },
          [&](const ReplaceSlices& w) {
            return std::get<ChunkRead>(known.at(chunk_place(w.ino, w.index))).records.starts_with(w.prefix);
          },
          [&](const AddSliceRef& w) {
            if (w.delta <= 0) return true;
            return std::get<SliceRefRead>(known.at(ref_place(w.id) + number(w.size))).refs.has_value();
          },
          [](const auto&) { return true; },
      },
      item);
}

void add_places(const WriteItem& item, std::map<std::string, Lock>* out) {
  const auto put = [&](const std::string& place) { out->insert_or_assign(place, Lock::update); };
  std::visit(Overloaded{
                 [&](const PatchNode& w) { put(node_place(w.ino)); },
                 [&](const DeleteNode& w) { put(node_place(w.ino)); },
                 [&](const DeleteEntry& w) { put(edge_place(w.parent, w.name)); },
                 [&](const ReplaceEntry& w) { put(edge_place(w.parent, w.name)); },
                 [&](const AppendSlices& w) { put(chunk_place(w.ino, w.index)); },
                 [&](const ReplaceSlices& w) { put(chunk_place(w.ino, w.index)); },
                 [&](const DeleteChunk& w) { put(chunk_place(w.ino, w.index)); },
                 [&](const AddSliceRef& w) { put(ref_place(w.id) + number(w.size)); },
                 [&](const DeleteSliceRef& w) { put(ref_place(w.id) + number(w.size)); },
                 [&](const DeleteDelayedSlices& w) { put("7d" + number(w.id)); },
                 [&](const PutFlock& w) { put(node_place(w.ino)); },
                 [&](const PutPlock& w) { put(node_place(w.ino)); },
                 [&](const DeleteFlock& w) { put(node_place(w.ino)); },
                 [&](const DeleteSession& w) { put("2" + number(w.sid)); },
                 [](const auto&) {},
             },
             item);
}

}  // namespace cider::meta::sql::server
