#include "base/log.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace cider {
namespace {

namespace fs = std::filesystem;

class LogFile : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string path = (fs::temp_directory_path() / "log_test.XXXXXX").string();
    ASSERT_NE(::mkdtemp(path.data()), nullptr);
    dir_ = path;
    log::configure({.file = file()});
  }
  void TearDown() override {
    log::configure({});
    fs::remove_all(dir_);
  }

  std::string file() const { return (dir_ / "log").string(); }
  static std::vector<std::string> lines(const std::string& path) {
    std::ifstream in(path);
    std::vector<std::string> out;
    for (std::string line; std::getline(in, line);) out.push_back(line);
    return out;
  }

  fs::path dir_;
};

TEST_F(LogFile, EachLineEndsOnce) {
  log::info("one");
  log::warning("two\n");
  log::error("three\n\n");
  const auto found = lines(file());
  ASSERT_EQ(found.size(), 3u);
  EXPECT_TRUE(found[1].ends_with("<warning>: two")) << found[1];
}

TEST_F(LogFile, GoesOnAfterItWasTruncated) {
  log::info(std::string(1000, 'x'));
  fs::resize_file(file(), 0);  // copytruncate
  log::info("after");
  ASSERT_EQ(lines(file()).size(), 1u);
  EXPECT_TRUE(lines(file())[0].ends_with("after"));
}

TEST_F(LogFile, ReopensAfterItWasRenamed) {
  log::info("before");
  fs::rename(file(), file() + ".1");
  log::info("still there");
  log::reopen();
  log::info("after");
  EXPECT_EQ(lines(file() + ".1").size(), 2u);
  EXPECT_EQ(lines(file()).size(), 1u);
}

}  // namespace
}  // namespace cider
