#include "vfs/access_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <regex>
#include <sstream>

namespace cider::vfs {
namespace {

TEST(AccessLog, ALineHasTimeCallerOperationResultAndSeconds) {
  AccessLog log;
  EXPECT_FALSE(log.active());
  auto reader = log.open();
  EXPECT_TRUE(log.active());
  log.write({.uid = 1, .gid = 2, .pid = 3}, "unlink (1,a)", ENOENT, std::chrono::microseconds(1500));
  const std::string line = reader->read(0, 4096, {}).value();
  const std::regex form(
      R"(\d{4}\.\d\d\.\d\d \d\d:\d\d:\d\d\.\d{6} \[uid:1,gid:2,pid:3\] unlink \(1,a\) - no such file or directory <0\.001500>\n)");
  EXPECT_TRUE(std::regex_match(line, form)) << line;
  reader.reset();
  EXPECT_FALSE(log.active());
}

TEST(AccessLog, ReadsInPiecesAndInOrder) {
  AccessLog log;
  auto reader = log.open();
  for (int i = 0; i < 3; ++i) log.write({}, "op (" + std::to_string(i) + ")", 0, std::chrono::seconds(0));
  std::string all;
  while (std::ranges::count(all, '\n') < 3) all += reader->read(all.size(), 7, {}).value();
  EXPECT_LT(all.find("op (0) - OK"), all.find("op (1) - OK"));
  EXPECT_LT(all.find("op (1) - OK"), all.find("op (2) - OK"));
}

TEST(AccessLog, ASlowReaderLosesLinesInsteadOfMemory) {
  AccessLog log;
  auto reader = log.open();
  const std::string big(1 << 20, 'x');
  for (int i = 0; i < 10; ++i) log.write({}, big, 0, std::chrono::seconds(0));
  size_t total = 0;
  for (;;) {
    const std::string piece = reader->read(0, 1 << 20, {}).value();
    if (piece == "#\n") break;
    total += piece.size();
  }
  EXPECT_LE(total, size_t{2} << 20);
}

TEST(AccessLog, AnInterruptedReaderEnds) {
  AccessLog log;
  auto reader = log.open();
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(code_of(reader->read(0, 10, stop.get_token())), EINTR);
}

TEST(AccessLog, AppendsToAFile) {
  const std::string path = testing::TempDir() + "access_log_" + std::to_string(getpid());
  {
    AccessLog log;
    ASSERT_TRUE(log.append_to(path));
    log.write({}, "statfs (1)", 0, std::chrono::seconds(1));
  }
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  unlink(path.c_str());
  EXPECT_NE(text.str().find("statfs (1) - OK <1.000000>\n"), std::string::npos);
  AccessLog log;
  EXPECT_EQ(code_of(log.append_to("/nonexistent/folder/log")), ENOENT);
}

TEST(AccessLog, Modes) {
  EXPECT_EQ(log_mode(0100644), "-rw-r--r--");
  EXPECT_EQ(log_mode(0041777), "drwxrwxrwt");
  EXPECT_EQ(log_mode(0106755), "-rwsr-sr-x");
  EXPECT_EQ(log_mode(0104644), "-rwSr--r--");
}

TEST(AccessLog, NamesCannotBreakALine) {
  EXPECT_EQ(log_text("a\nb\"c"), "a\\x0ab\\x22c");
}

}  // namespace
}  // namespace cider::vfs
