// What the tests of Meta's operations share: a volume on each engine with two clients, and a check at the end
// that all records fit together. For tests only.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "meta/testing/test_volume.h"

namespace cider::meta::testing {

class MetaTest : public ::testing::TestWithParam<Engine> {
 protected:
  void make(VolumeSetup setup = {}) {
    setup.engine = GetParam();
    volume_ = std::make_unique<TestVolume>(setup);
  }
  void TearDown() override {
    if (!volume_) return;
    for (const std::string& problem : volume_->problems()) ADD_FAILURE() << problem;
    volume_->stop();
    VolumeDump dump = volume_->dump();
    for (const std::string& problem : inconsistencies(dump))
      ADD_FAILURE() << "after the clients' end: " << problem;
    for (const auto& [key, slices] : dump.chunks) {
      for (const Slice& s : slices)
        EXPECT_TRUE(s.id == 0 || volume_->data().has(s.id)) << "slice " << s.id << " is lost";
    }
  }

  Meta& a() { return volume_->client(0); }
  Meta& b() { return volume_->client(1); }
  StepClock& clock() { return volume_->clock(); }

  static Caller user(uint32_t uid, uint32_t gid, std::vector<uint32_t> groups = {}) {
    Caller c;
    c.uid = uid;
    c.gid = gid;
    c.groups = std::move(groups);
    c.check_permission = true;
    return c;
  }
  Ino mkdir(const std::string& name, Ino parent = kRootIno, uint16_t mode = 0755, const Caller& caller = {}) {
    return made(a().mknod(caller, parent, name, NewNode{FileType::directory, mode, 0, {}}));
  }
  Ino mkfile(const std::string& name, Ino parent = kRootIno, uint16_t mode = 0644,
             const Caller& caller = {}) {
    return made(a().mknod(caller, parent, name, NewNode{FileType::file, mode, 0, {}}));
  }
  Ino made(const Result<Node>& node) {
    EXPECT_TRUE(node) << code_of(node);
    return node ? node->ino : 0;
  }
  Attr attr(Ino ino) {
    auto attr = a().getattr(ino);
    EXPECT_TRUE(attr) << code_of(attr);
    return attr.value_or(Attr{});
  }
  int rename(Ino from, const std::string& name, Ino to, const std::string& new_name, uint32_t flags = 0,
             const Caller& caller = {}) {
    return code_of(a().rename(caller, from, name, to, new_name, flags));
  }
  // Tags that count up from `tag`, on [off, off + len).
  void write(Ino ino, uint64_t off, uint64_t len, uint64_t tag) {
    auto done = volume_->data().write(a(), ino, off, len, tag, clock().now());
    EXPECT_TRUE(done) << code_of(done);
  }
  FakeData::Units read(Ino ino) {
    auto units = volume_->data().read(a(), ino, attr(ino).length);
    EXPECT_TRUE(units) << units.error().to_string();
    return units.value_or(FakeData::Units{});
  }
  std::vector<std::string> list(Ino dir, size_t page = 100) {
    std::vector<std::string> names;
    DirCursor cursor;
    while (!cursor.at_end) {
      auto entries = a().list_dir(dir, &cursor, page, false);
      if (!entries) {
        ADD_FAILURE() << entries.error().to_string();
        break;
      }
      for (auto& e : *entries) names.push_back(e.name);
    }
    return names;
  }

  std::unique_ptr<TestVolume> volume_;
};

}  // namespace cider::meta::testing

#define CIDER_META_TEST(name)                                                                         \
  class name : public ::cider::meta::testing::MetaTest {};                                            \
  INSTANTIATE_TEST_SUITE_P(Engines, name, ::testing::ValuesIn(::cider::meta::testing::all_engines()), \
                           [](const auto& test) { return ::cider::meta::testing::engine_name(test.param); })
