#include "vfs/control_message.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace cider::vfs {
namespace {

std::string message(uint32_t command, std::string_view payload) {
  return ByteWriter().u32(command).u32(static_cast<uint32_t>(payload.size())).raw(payload).take();
}

TEST(ControlAssembler, OneByteAtATime) {
  ControlAssembler assembler;
  const std::string bytes = message(1005, "12345678");
  for (size_t i = 0; i + 1 < bytes.size(); ++i) EXPECT_FALSE(assembler.add(bytes.substr(i, 1)).value());
  const auto whole = assembler.add(bytes.substr(bytes.size() - 1)).value();
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->command, 1005u);
  EXPECT_EQ(whole->payload, "12345678");
}

TEST(ControlAssembler, TrailingBytesAreAnErrorAndForgotten) {
  ControlAssembler assembler;
  EXPECT_EQ(code_of(assembler.add(message(1005, "12345678") + "x")), EIO);
  EXPECT_TRUE(assembler.add(message(1005, "")).value());
}

TEST(ControlAssembler, HugeMessagesAreRefused) {
  ControlAssembler assembler;
  EXPECT_EQ(code_of(assembler.add(ByteWriter().u32(1002).u32(0xFFFFFFFF).take())), EINVAL);
  EXPECT_TRUE(assembler.add(message(1002, "")).value());
}

TEST(ControlRequest, RemoveTree) {
  const auto full = parse_control_request(1002, ByteWriter().u64(7).u8(3).raw("abc").u8(1).u8(50).take());
  ASSERT_TRUE(full);
  const auto& request = std::get<RemoveTreeRequest>(*full);
  EXPECT_EQ(request.parent, 7u);
  EXPECT_EQ(request.name, "abc");
  EXPECT_TRUE(request.skip_trash);
  const auto old = parse_control_request(1002, ByteWriter().u64(7).u8(3).raw("abc").take());
  EXPECT_FALSE(std::get<RemoveTreeRequest>(old.value()).skip_trash);
  EXPECT_EQ(code_of(parse_control_request(1002, ByteWriter().u64(7).u8(4).raw("abc").take())), EINVAL);
}

TEST(ControlRequest, FillCache) {
  const std::string_view paths = "/a\ninode:7\n\n/b c";
  const auto bytes = [&](uint8_t action) {
    return ByteWriter().u32(static_cast<uint32_t>(paths.size())).raw(paths).u16(50).u8(1).u8(action).take();
  };
  const auto full = parse_control_request(1004, bytes(2));
  ASSERT_TRUE(full);
  const auto& request = std::get<FillCacheRequest>(*full);
  EXPECT_EQ(request.paths, (std::vector<std::string>{"/a", "inode:7", "/b c"}));
  EXPECT_EQ(request.threads, 50);
  EXPECT_TRUE(request.background);
  EXPECT_EQ(request.action, CacheAction::check);
  EXPECT_FALSE(changes_files(*full));
  EXPECT_EQ(code_of(parse_control_request(1004, bytes(3))), EINVAL);
  // Tools before 1.1 have no action.
  const auto old = parse_control_request(1004, bytes(0).substr(0, paths.size() + 7));
  EXPECT_EQ(std::get<FillCacheRequest>(old.value()).action, CacheAction::fill);
  for (size_t n = 0; n < paths.size() + 7; ++n)
    EXPECT_EQ(code_of(parse_control_request(1004, bytes(0).substr(0, n))), EINVAL) << n;
}

TEST(ControlRequest, EveryTruncationIsAnswered) {
  const std::string payload = ByteWriter().u64(7).u8(1).u8(1).u8(1).take();
  for (uint32_t command : {1002u, 1003u, 1005u, 1007u, 1008u}) {
    for (size_t n = 0; n < 8; ++n)
      EXPECT_EQ(code_of(parse_control_request(command, payload.substr(0, n))), EINVAL);
  }
}

TEST(ControlRequest, UnknownAndUnsupported) {
  EXPECT_EQ(code_of(parse_control_request(77, "")), EINVAL);
  EXPECT_EQ(code_of(parse_control_request(1006, "")), ENOTSUP);
}

TEST(ControlFrames, AreBigEndian) {
  EXPECT_EQ(to_hex(progress_frame(1, 258)), "fe00000000000000010000000000000102");
  EXPECT_EQ(to_hex(data_frame("{}")), "ff000000027b7d");
  EXPECT_EQ(error_frame(22), "\x16");
}

}  // namespace
}  // namespace cider::vfs
