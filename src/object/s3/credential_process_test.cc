#include "object/s3/credential_process.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <thread>

#include "object/testing/aws_machine.h"

namespace cider::object::s3 {
namespace {

using object::testing::AwsMachine;

constexpr Millis kLong{60'000};

std::string output(const std::string& command) {
  const auto out = process_output(command, kLong, {});
  return out ? *out : out.error().to_string();
}

class CredentialProcess : public ::testing::Test {
 protected:
  // A program that runs these lines.
  std::string script(const std::string& lines) const {
    std::string path = machine_.write("bin/script", "#!/bin/sh\n" + lines + "\n");
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
  }

  AwsMachine machine_;
};

TEST_F(CredentialProcess, WordsAreThoseOfAShell) {
  const std::string program = script(R"(for word; do printf '<%s>' "$word"; done)");
  EXPECT_EQ(output(program + "  a 'b  c' \"d \\\" e\" f\\ g '|;&$(x)'"), "<a><b  c><d \" e><f g><|;&$(x)>");
  EXPECT_EQ(output(program + " \"$PWD\"").starts_with("</"), true);
  EXPECT_EQ(output("true"), "");
}

TEST_F(CredentialProcess, WhatNeedsAShellIsRefused) {
  for (const char* command : {"echo a | cat", "echo a; echo b", "echo a && echo b", "echo a > /dev/null",
                              "echo $(id)", "echo `id`", "echo 'a", "", "  "}) {
    EXPECT_EQ(code_of(process_output(command, kLong, {})), EINVAL) << command;
  }
}

TEST_F(CredentialProcess, AFailureIsToldWithoutWhatWasSaid) {
  const auto failed =
      process_output(script("echo a-secret; echo a-secret >&2; exit 3") + " a-secret", kLong, {});
  EXPECT_EQ(code_of(failed), EACCES);
  EXPECT_NE(failed.error().message.find("exit code 3"), std::string::npos) << failed.error().message;
  EXPECT_EQ(failed.error().message.find("secret"), std::string::npos) << failed.error().message;
  const auto killed = process_output(script("kill -9 $$"), kLong, {});
  EXPECT_NE(killed.error().message.find("signal 9"), std::string::npos) << killed.error().message;
  EXPECT_EQ(code_of(process_output("/nowhere/program a-secret", kLong, {})), ENOENT);
  EXPECT_EQ(code_of(process_output("cat /dev/zero", kLong, {})), EACCES);
}

TEST_F(CredentialProcess, OneThatHangsIsKilledWithItsChildren) {
  const std::string program = script("sleep 1000 & echo $! > " + machine_.path("child") + "\nwait");
  EXPECT_EQ(code_of(process_output(program, Millis(300), {})), ETIMEDOUT);
  const std::string child = machine_.read("child");
  ASSERT_FALSE(child.empty());
  // Killed, though perhaps not yet collected by whoever does that.
  for (int i = 0; i < 500 && ::kill(std::stoi(child), 0) == 0; ++i) {
    std::ifstream stat("/proc/" + std::to_string(std::stoi(child)) + "/stat");
    std::string pid, name, state;
    if (!(stat >> pid >> name >> state) || state == "Z") break;
    std::this_thread::sleep_for(Millis(10));
    ASSERT_NE(i, 499) << "the child lives";
  }
  // Nor does one that has closed its output keep us.
  EXPECT_EQ(code_of(process_output(script("exec >&-; sleep 1000"), Millis(300), {})), ETIMEDOUT);
}

TEST_F(CredentialProcess, AStopEndsTheWait) {
  std::stop_source stop;
  std::jthread stops([&] { stop.request_stop(); });
  EXPECT_EQ(code_of(process_output("sleep 1000", kLong, stop.get_token())), EINTR);
}

TEST(CredentialProcessOutput, Keys) {
  const auto keys = parse_process_credentials(
      R"({"Version":1,"AccessKeyId":"k","SecretAccessKey":"s","SessionToken":"t","Expiration":"2001-09-09T02:46:40Z"})",
      1'000'000'000);
  ASSERT_TRUE(keys) << keys.error().to_string();
  EXPECT_EQ(keys->access_key, "k");
  EXPECT_EQ(keys->secret_key, "s");
  EXPECT_EQ(keys->session_token, "t");
  EXPECT_EQ(keys->expires, 1'000'003'600);
  const auto lasting =
      parse_process_credentials(R"({"Version":1,"AccessKeyId":"k","SecretAccessKey":"s"})", 0);
  EXPECT_FALSE(lasting->expires);
}

TEST(CredentialProcessOutput, TimesMayHaveAZone) {
  const auto keys = parse_process_credentials(
      R"({"Version":1,"AccessKeyId":"k","SecretAccessKey":"s","Expiration":"2001-09-09T04:46:40.5+02:00"})",
      0);
  ASSERT_TRUE(keys) << keys.error().to_string();
  EXPECT_EQ(keys->expires, 1'000'003'600);
}

TEST(CredentialProcessOutput, AnythingElseIsRefusedWithoutRepeatingIt) {
  const std::string begin = R"({"Version":1,"AccessKeyId":"secret","SecretAccessKey":"secret")";
  for (const std::string& json :
       {std::string(), std::string("secret"), std::string("[]"),
        std::string(R"({"AccessKeyId":"secret","SecretAccessKey":"secret"})"),
        std::string(R"({"Version":2,"AccessKeyId":"secret","SecretAccessKey":"secret"})"),
        std::string(R"({"Version":"1","AccessKeyId":"secret","SecretAccessKey":"secret"})"),
        std::string(R"({"Version":1,"AccessKeyId":"secret"})"), begin + R"(,"Expiration":"soon"})",
        begin + R"(,"Expiration":"2001-09-09T01:46:40Z"})"}) {
    const auto refused = parse_process_credentials(json, 1'000'000'000);
    EXPECT_EQ(code_of(refused), EACCES) << json;
    EXPECT_EQ(refused ? 0 : refused.error().message.find("secret"), refused ? 1 : std::string::npos) << json;
  }
}

}  // namespace
}  // namespace cider::object::s3
