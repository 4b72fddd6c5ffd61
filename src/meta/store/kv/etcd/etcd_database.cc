#include "meta/store/kv/etcd/etcd_database.h"

#include <sys/random.h>

#include <algorithm>

#include <etcd.pb.h>
#include "base/bytes.h"
#include "base/interruptible_sleep.h"
#include "meta/store/kv/etcd/etcd_client.h"
#include "meta/store/kv/etcd/etcd_view.h"
#include "meta/store/kv/known_values.h"

namespace cider::meta::kv {
namespace {

using etcdserverpb::Compare;
using etcdserverpb::TxnRequest;
using etcdserverpb::TxnResponse;

// etcd's defaults are 128 operations, those within an operation added, and 1.5 MiB; three are for the record
// of the commit.
constexpr size_t kParts = 125;
constexpr size_t kBytes = 1 << 20;
constexpr size_t kGroup = 32;
constexpr size_t kRecords = 40;  // each of up to three keys
constexpr std::chrono::seconds kPatience{300};
constexpr std::chrono::milliseconds kPause{100};

// "O" and a random number of 128 bits: no letter of JuiceFS.
Result<std::string> new_record_key() {
  std::string key(1 + 16, 'O');
  if (getrandom(key.data() + 1, 16, 0) != 16) return fail_errno("random numbers for a client's id");
  return key;
}

std::string record_of(uint64_t number) {
  return ByteWriter().u64(number).take();
}

void compare_key(TxnRequest* request, const std::string& key, int64_t changed) {
  Compare* compare = request->add_compare();
  compare->set_key(key);
  compare->set_result(Compare::EQUAL);
  compare->set_target(Compare::MOD);
  compare->set_mod_revision(changed);
}

class EtcdDatabase final : public Database {
 public:
  EtcdDatabase(EtcdUrl url, std::string record_key, bool read_only)
      : client_(std::move(url)),
        prefix_(client_.url().key_prefix()),
        record_key_(std::move(record_key)),
        read_only_(read_only) {}
  ~EtcdDatabase() override { remove_record(); }

  Status open() {
    TRY(client_.open());
    const auto first = TRY(view({}));
    TRY(first->get(std::span(&record_key_, 1)));
    return {};
  }

  std::string name() const override { return "etcd"; }
  std::string describe() const override { return client_.url().describe(); }
  Result<std::unique_ptr<View>> view(std::stop_token stop) override {
    return std::make_unique<EtcdView>(client_, hints_, prefix_, false, std::move(stop));
  }
  Result<std::unique_ptr<View>> working_view(std::stop_token stop) override {
    return std::make_unique<EtcdView>(client_, hints_, prefix_, true, std::move(stop));
  }
  Result<Committed> commit(View& view, const Checks& checks, const Changes& changes,
                           const Interrupt& stop) override;
  Result<bool> settle(std::stop_token stop) override;
  Limits limits() const override {
    return {.parts = kParts, .bytes = kBytes, .deletes_ranges = true, .group = kGroup, .records = kRecords};
  }
  bool read_only() const override { return read_only_; }
  uint64_t requests() const { return client_.requests(); }

 private:
  Status add_checks(const EtcdView& view, const Checks& checks, TxnRequest* request) const;
  void add_changes(const Changes& changes, TxnRequest* request) const;
  void add_record(const std::string& value, TxnRequest* request) const;
  Result<Committed> commit_changes(TxnRequest* request, const Checks& checks, const Changes& changes,
                                   Interrupt stop);
  void make_burn(TxnRequest* burn) const;
  Result<Committed> check_only(const TxnRequest& request, const Checks& checks, const std::stop_token& stop);
  // What the other branch has read, from its response `first` on.
  void learn(const Checks& checks, const TxnResponse& response, int first);
  void note_changes(const Changes& changes, int64_t revision);
  void remove_record();

  EtcdClient client_;
  KnownValues hints_;
  const std::string prefix_;
  const std::string record_key_;
  const bool read_only_;
  std::mutex committing_;             // one commit at a time: there is one record
  uint64_t number_ = 0;               // of the last commit that was tried
  int64_t recorded_ = 0;              // the revision of the record
  std::optional<Changes> unsettled_;  // of that commit
};

Status EtcdDatabase::add_checks(const EtcdView& view, const Checks& checks, TxnRequest* request) const {
  for (const std::string& key : checks.keys) {
    const auto changed = view.changed(key);
    if (!changed) return fail(EINVAL, "a check of what the view has not shown");
    compare_key(request, prefix_ + key, *changed);
    request->add_failure()->mutable_request_range()->set_key(prefix_ + key);
  }
  for (const Checks::Unchanged& unchanged : checks.ranges) {
    Compare* compare = request->add_compare();
    compare->set_key(prefix_ + unchanged.range.begin);
    compare->set_range_end(prefix_ + unchanged.range.end);
    if (unchanged.keys.empty()) {
      compare->set_result(Compare::EQUAL);
      compare->set_target(Compare::CREATE);
      compare->set_create_revision(0);
      continue;
    }
    compare->set_result(Compare::LESS);
    compare->set_target(Compare::MOD);
    compare->set_mod_revision(view.revision() + 1);
    for (const std::string& key : unchanged.keys) {
      if (!checks.keys.contains(key)) compare_key(request, prefix_ + key, view.changed(key).value_or(0));
    }
  }
  return {};
}

void EtcdDatabase::add_changes(const Changes& changes, TxnRequest* request) const {
  for (const auto& [key, value] : changes.keys) {
    etcdserverpb::RequestOp* op = request->add_success();
    if (value) {
      op->mutable_request_put()->set_key(prefix_ + key);
      op->mutable_request_put()->set_value(*value);
    } else {
      op->mutable_request_delete_range()->set_key(prefix_ + key);
    }
  }
  const auto delete_range = [&](const std::string& begin, const std::string& end) {
    auto* op = request->add_success()->mutable_request_delete_range();
    op->set_key(prefix_ + begin);
    op->set_range_end(prefix_ + end);
  };
  for (const Range& range : changes.deleted) {
    if (!range.contains(record_key_)) {
      delete_range(range.begin, range.end);
    } else {  // the record is written in the same Txn
      delete_range(range.begin, record_key_);
      delete_range(record_key_ + '\0', range.end);
    }
  }
}

// The record is compared and written; a conflict answers with it first.
void EtcdDatabase::add_record(const std::string& value, TxnRequest* request) const {
  compare_key(request, prefix_ + record_key_, recorded_);
  auto* put = request->add_success()->mutable_request_put();
  put->set_key(prefix_ + record_key_);
  put->set_value(value);
  request->add_failure()->mutable_request_range()->set_key(prefix_ + record_key_);
}

Result<Committed> EtcdDatabase::commit(View& view, const Checks& checks, const Changes& changes,
                                       const Interrupt& stop) {
  const auto& seen = dynamic_cast<const EtcdView&>(view);
  if (changes.empty() && seen.is_one_instant()) return Committed::done;
  TxnRequest request;
  if (changes.empty()) {
    TRY(add_checks(seen, checks, &request));
    return check_only(request, checks, stop.now);
  }
  std::lock_guard lock(committing_);
  if (unsettled_) return fail(EINVAL, "the commit before is not settled");
  add_record(record_of(++number_), &request);
  TRY(add_checks(seen, checks, &request));
  add_changes(changes, &request);
  auto committed = commit_changes(&request, checks, changes, stop);
  if (committed == Committed::unknown) unsettled_ = changes;
  return committed;
}

// It is not made now if it has not been.
Result<bool> EtcdDatabase::settle(std::stop_token stop) {
  std::lock_guard lock(committing_);
  if (!unsettled_) return false;
  TxnRequest request;
  make_burn(&request);
  request.add_failure()->mutable_request_range()->set_key(prefix_ + record_key_);
  TxnResponse response;
  TRY(client_.read(request, &response, stop));
  if (response.responses_size() == 0) return fail(EIO, describe() + " left a question without an answer");
  const Changes changes = *std::exchange(unsettled_, std::nullopt);
  if (response.succeeded()) {
    recorded_ = response.header().revision();
    return false;
  }
  const auto& record = response.responses(0).response_range();
  recorded_ = record.kvs_size() > 0 ? record.kvs(0).mod_revision() : 0;
  if (recorded_ == 0 || record.kvs(0).value() != record_of(number_)) return false;
  note_changes(changes, recorded_);
  return true;
}

// As long as a copy of the request could be carried out, it is made impossible: the record changes. Where it
// has changed, it stays as it is, and tells who did it, however late this comes.
void EtcdDatabase::make_burn(TxnRequest* burn) const {
  compare_key(burn, prefix_ + record_key_, recorded_);
  auto* put = burn->add_success()->mutable_request_put();
  put->set_key(prefix_ + record_key_);
  put->set_value(record_of(number_) + "!");
}

// Repeated until there is an answer. Once it may have been carried out, a conflict also burns the record; and
// what the record was then tells whether a copy has been.
Result<Committed> EtcdDatabase::commit_changes(TxnRequest* request, const Checks& checks,
                                               const Changes& changes, Interrupt stop) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  bool unknown = false;
  TxnResponse response;
  Status error;
  while (true) {
    const EtcdClient::Sent sent = client_.send(*request, &response, &error, stop);
    if (sent == EtcdClient::Sent::answered) break;
    if (sent == EtcdClient::Sent::not_sent && !unknown) return fail(error.error());
    stop = stop.late;
    if (sent == EtcdClient::Sent::unknown && !std::exchange(unknown, true))
      make_burn(request->add_failure()->mutable_request_txn());
    if (std::chrono::steady_clock::now() > end || !interruptible_sleep(kPause, stop.now))
      return Committed::unknown;
  }
  if (response.succeeded()) {
    recorded_ = response.header().revision();
    note_changes(changes, recorded_);
    return Committed::done;
  }
  if (response.responses_size() == 0) return fail(EIO, describe() + " left a question without an answer");
  const auto& record = response.responses(0).response_range();
  learn(checks, response, 1);
  const bool there = record.kvs_size() > 0;
  const bool burnt = unknown && response.responses(response.responses_size() - 1).response_txn().succeeded();
  recorded_ = burnt ? response.header().revision() : there ? record.kvs(0).mod_revision() : 0;
  if (!unknown || !there || record.kvs(0).value() != record_of(number_)) return Committed::conflict;
  note_changes(changes, record.kvs(0).mod_revision());
  return Committed::done;
}

Result<Committed> EtcdDatabase::check_only(const TxnRequest& request, const Checks& checks,
                                           const std::stop_token& stop) {
  TxnResponse response;
  TRY(client_.read(request, &response, stop));
  if (response.succeeded()) return Committed::done;
  learn(checks, response, 0);
  return Committed::conflict;
}

void EtcdDatabase::learn(const Checks& checks, const TxnResponse& response, int first) {
  int at = first;
  for (const std::string& key : checks.keys) {
    if (at >= response.responses_size()) return;
    const auto& found = response.responses(at++).response_range();
    KnownValues::Hint hint{std::nullopt, 0, response.header().revision()};
    if (found.kvs_size() > 0) {
      hint.value = found.kvs(0).value();
      hint.changed = found.kvs(0).mod_revision();
    }
    hints_.note(key, std::move(hint));
  }
}

void EtcdDatabase::note_changes(const Changes& changes, int64_t revision) {
  for (const auto& [key, value] : changes.keys) hints_.note(key, {value, value ? revision : 0, revision});
}

// A client that ends leaves none. What a crashed one leaves is some 30 bytes, and goes with the volume.
void EtcdDatabase::remove_record() {
  if (recorded_ == 0) return;
  constexpr std::chrono::seconds kShort{2};
  TxnRequest request;
  compare_key(&request, prefix_ + record_key_, recorded_);
  request.add_success()->mutable_request_delete_range()->set_key(prefix_ + record_key_);
  TxnResponse response;
  Status error;
  (void)client_.send(request, &response, &error, {}, kShort);
}

}  // namespace

Result<std::shared_ptr<Database>> open_etcd(std::string_view url, bool read_only) {
  auto database = std::make_shared<EtcdDatabase>(TRY(parse_etcd_url(url)), TRY(new_record_key()), read_only);
  TRY(database->open());
  return database;
}

uint64_t etcd_requests(const Database& database) {
  return dynamic_cast<const EtcdDatabase&>(database).requests();
}

}  // namespace cider::meta::kv
