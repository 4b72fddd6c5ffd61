// A SliceCatalog in memory that behaves as an engine does, and fails on demand. For tests.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "base/overlay.h"
#include "chunk/slice_catalog.h"
#include "chunk/unclear.h"

namespace cider::chunk::testing {

// Thread-safe.
class MemoryCatalog final : public SliceCatalog {
 public:
  // What a commit answers: an errno (0: success), and whether it is applied all the same, as when only the
  // reply is lost.
  struct Verdict {
    int code = 0;
    bool applied = false;
  };
  using Rule = std::function<Verdict(Ino, std::span<const NewSlice>)>;

  void set_rule(Rule rule) {
    std::lock_guard lock(mutex_);
    rule_ = std::move(rule);
  }
  void remove_inode(Ino ino) {
    std::lock_guard lock(mutex_);
    gone_.insert(ino);
    files_.erase(ino);
  }
  // Cuts or lengthens the file as truncate does.
  void truncate(Ino ino, uint64_t length) {
    std::lock_guard lock(mutex_);
    File& file = files_[ino];
    if (length < file.length) {
      auto index = static_cast<uint32_t>(length / kChunkSize);
      auto pos = static_cast<uint32_t>(length % kChunkSize);
      file.chunks.erase(file.chunks.lower_bound(pos ? index + 1 : index), file.chunks.end());
      if (pos && file.chunks.contains(index)) {
        auto len = static_cast<uint32_t>(kChunkSize - pos);
        file.chunks[index].push_back(Slice{pos, 0, 0, 0, len});
      }
    }
    file.length = length;
  }
  uint64_t length(Ino ino) {
    std::lock_guard lock(mutex_);
    return files_[ino].length;
  }
  int commits() {
    std::lock_guard lock(mutex_);
    return commits_;
  }
  std::vector<std::pair<Ino, uint32_t>> suggested() {
    std::lock_guard lock(mutex_);
    return suggested_;
  }
  // The records of a chunk as another client would change them.
  void set_slices(Ino ino, uint32_t index, std::vector<Slice> slices) {
    std::lock_guard lock(mutex_);
    files_[ino].chunks[index] = std::move(slices);
  }

  Result<uint64_t> next_slice_id() override {
    std::lock_guard lock(mutex_);
    return next_id_++;
  }

  Result<std::vector<Slice>> slices(Ino ino, uint32_t index, bool, std::stop_token = {}) override {
    std::lock_guard lock(mutex_);
    loads_++;
    return records(ino, index);
  }

  Result<std::vector<std::vector<Slice>>> first_slices(std::span<const Ino> inos) override {
    std::lock_guard lock(mutex_);
    asked_ahead_.emplace_back(inos.begin(), inos.end());
    std::vector<std::vector<Slice>> out;
    for (const Ino ino : inos) out.push_back(records(ino, 0));
    return out;
  }

  Status commit(Ino ino, std::span<const NewSlice> slices, Time) override {
    std::unique_lock lock(mutex_);
    Verdict verdict;
    if (auto rule = rule_) {
      lock.unlock();
      verdict = rule(ino, slices);
      lock.lock();
    }
    if (gone_.contains(ino)) return fail(ENOENT);
    if (verdict.code == 0 || verdict.applied) apply(files_[ino], slices);
    commits_++;
    if (verdict.code != 0) return fail(verdict.code, "commit was told to fail");
    return {};
  }

  // The rule is asked for each member: an unclear error is the whole pack's, any other the member's own.
  Result<std::vector<Status>> commit_pack(NewPack& pack) override {
    std::unique_lock lock(mutex_);
    std::vector<Status> results(pack.members.size());
    Verdict whole;
    if (auto rule = rule_) {
      lock.unlock();
      for (size_t i = 0; i < results.size(); ++i) {
        const PackMember& member = pack.members[i];
        const NewSlice slice{member.index, member.at};
        const Verdict verdict = rule(member.ino, std::span(&slice, 1));
        if (is_unclear(verdict.code)) whole = verdict;
        if (verdict.code != 0 && !is_unclear(verdict.code)) results[i] = fail(verdict.code, "refused");
      }
      lock.lock();
    }
    packs_++;
    if (pack_code_ != 0) return fail(pack_code_, "no packs");
    if (const auto before = pack_results_.find(pack.members[0].at.id); before != pack_results_.end()) {
      if (whole.code != 0) return fail(whole.code, "commit was told to fail");
      return before->second;
    }
    for (size_t i = 0; i < results.size(); ++i) {
      if (gone_.contains(pack.members[i].ino)) results[i] = fail(ENOENT);
    }
    if (whole.code != 0 && !whole.applied) return fail(whole.code, "commit was told to fail");
    apply(pack, results);
    if (whole.code != 0) return fail(whole.code, "the answer was told to be lost");
    return results;
  }

  // Every pack is refused as a whole.
  void refuse_packs(int code) {
    std::lock_guard lock(mutex_);
    pack_code_ = code;
  }
  // Of commits of packs, also those that failed.
  int packs() {
    std::lock_guard lock(mutex_);
    return packs_;
  }
  // References that a pack has by its commit; 0: no commit of it was made.
  int64_t refs(uint64_t id) {
    std::lock_guard lock(mutex_);
    return refs_.contains(id) ? refs_[id] : 0;
  }
  std::set<uint64_t> committed_packs() {
    std::lock_guard lock(mutex_);
    std::set<uint64_t> ids;
    for (const auto& [id, refs] : refs_) ids.insert(id);
    return ids;
  }

  Result<bool> exists(Ino ino) override {
    std::lock_guard lock(mutex_);
    return !gone_.contains(ino);
  }

  void suggest_compaction(Ino ino, uint32_t index) override {
    std::lock_guard lock(mutex_);
    suggested_.emplace_back(ino, index);
  }

  // The inodes of each call of first_slices().
  std::vector<std::vector<Ino>> asked_ahead() {
    std::lock_guard lock(mutex_);
    return asked_ahead_;
  }
  int loads() {
    std::lock_guard lock(mutex_);
    return loads_;
  }

 private:
  struct File {
    uint64_t length = 0;
    std::map<uint32_t, std::vector<Slice>> chunks;
  };

  std::vector<Slice> records(Ino ino, uint32_t index) const {
    const auto file = files_.find(ino);
    if (file == files_.end()) return {};
    const auto chunk = file->second.chunks.find(index);
    return chunk == file->second.chunks.end() ? std::vector<Slice>() : chunk->second;
  }

  // Committing again what is there already changes nothing.
  void apply(File& file, std::span<const NewSlice> slices) {
    for (const NewSlice& slice : slices) {
      if (!applied_.insert(slice.at.id).second) continue;
      file.chunks[slice.index].push_back(slice.at);
      file.length = std::max(file.length, slice.index * kChunkSize + slice.at.pos + slice.at.len);
    }
  }

  void apply(const NewPack& pack, const std::vector<Status>& results) {
    int64_t refs = 0;
    for (size_t i = 0; i < results.size(); ++i) {
      if (!results[i]) continue;
      const PackMember& member = pack.members[i];
      File& file = files_[member.ino];
      file.chunks[member.index].push_back(member.at);
      file.length = std::max(file.length, member.index * kChunkSize + member.at.pos + member.at.len);
      ++refs;
    }
    const uint64_t id = pack.members[0].at.id;
    pack_results_.emplace(id, results);
    if (refs > 0) refs_[id] = refs;
  }

  std::mutex mutex_;
  uint64_t next_id_ = 1;
  int packs_ = 0;
  int pack_code_ = 0;
  std::map<uint64_t, std::vector<Status>> pack_results_;
  std::map<uint64_t, int64_t> refs_;
  int commits_ = 0;
  int loads_ = 0;
  std::vector<std::vector<Ino>> asked_ahead_;
  Rule rule_;
  std::map<Ino, File> files_;
  std::set<Ino> gone_;
  std::set<uint64_t> applied_;
  std::vector<std::pair<Ino, uint32_t>> suggested_;
};

}  // namespace cider::chunk::testing
