// Two clients of one volume, and short forms of what tests of broken connections do with them. For tests
// only.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>

#include "meta/store/engines.h"
#include "meta/testing/consistency.h"
#include "meta/testing/test_volume.h"
#include "meta/testing/volume_dump.h"

namespace cider::meta::testing {

class TwoClients {
 protected:
  // An empty volume without a trash.
  static void make_volume(const std::string& url, bool acl = false) {
    auto store = open_store(url, true, false).value();
    Volume volume;
    volume.name = "faults";
    volume.storage = "mem";
    volume.trash_days = 0;
    volume.enable_acl = acl;
    ASSERT_TRUE(format_volume(*store, &volume));
  }
  static std::unique_ptr<Meta> client_of(const std::string& url, int max_deletes = 1,
                                         std::chrono::seconds heartbeat = std::chrono::seconds(12)) {
    auto store = open_store(url, true, false);
    if (!store) throw std::runtime_error(store.error().to_string());
    Volume volume = load_volume(**store).value();
    MetaOptions options = {.heartbeat = heartbeat, .background_jobs = false, .max_deletes = max_deletes};
    auto meta = std::make_unique<Meta>(*std::move(store), volume, options);
    DataCallbacks data;
    data.delete_slice = [](uint64_t, uint32_t) { return Status{}; };
    if (!meta->start(data)) throw std::runtime_error("the client does not start");
    return meta;
  }
  void end_clients() {
    a_->stop();
    b_->stop();
    a_.reset();
    b_.reset();
  }
  static void expect_consistent(const Result<VolumeDump>& dump) {
    ASSERT_TRUE(dump) << dump.error().to_string();
    for (const std::string& problem : inconsistencies(*dump)) ADD_FAILURE() << problem;
  }

  Ino file(const std::string& name) {
    auto made = a_->mknod(Caller{}, kRootIno, name, NewNode{});
    EXPECT_TRUE(made) << made.error().to_string();
    return made ? made->ino : 0;
  }
  static int unlink(Meta& meta, const std::string& name, const Caller& caller = {}) {
    return code_of(meta.unlink(caller, kRootIno, name));
  }
  int unlink(const std::string& name, const Caller& caller = {}) { return unlink(*a_, name, caller); }
  bool exists(const std::string& name) { return b_->lookup(Caller{}, kRootIno, name).has_value(); }

  std::unique_ptr<Meta> a_;
  std::unique_ptr<Meta> b_;
};

}  // namespace cider::meta::testing
