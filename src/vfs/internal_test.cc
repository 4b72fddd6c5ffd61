// Internal files and the control protocol, through the file system.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "base/bytes.h"
#include "vfs/testing/mount.h"

namespace cider::vfs {
namespace {

using nlohmann::json;
using testing::Mount;
using testing::SharedVolume;

std::string message(uint32_t command, std::string_view payload) {
  return ByteWriter().u32(command).u32(static_cast<uint32_t>(payload.size())).raw(payload).take();
}

// Opens .control, writes, and reads as JuiceFS's tools do: on from where the write ended, until the final
// frame.
class Control {
 public:
  explicit Control(Mount& m, int flags = O_RDWR) : m_(m), handle_(m.open(kControlIno, flags).handle) {}
  ~Control() { m_.close(kControlIno, handle_); }

  void send(std::string_view bytes) {
    ASSERT_TRUE(m_.write(kControlIno, handle_, off_, bytes));
    off_ += bytes.size();
  }
  // The errno byte, or 0 with *data set.
  int receive(std::string* data = nullptr) {
    std::string bytes;
    for (int tries = 0; tries < 20'000; ++tries) {
      const std::string more = m_.read(kControlIno, handle_, off_);
      off_ += more.size();
      bytes += more;
      while (bytes.size() >= 17 && bytes[0] == '\xfe') bytes.erase(0, 17), ++progress;
      if (bytes.size() == 1) return static_cast<uint8_t>(bytes[0]);
      if (bytes.size() >= 5 && bytes[0] == '\xff') {
        ByteReader in(bytes);
        in.u8();
        const uint32_t size = in.u32();
        if (in.remaining() == size) {
          if (data) *data = bytes.substr(5);
          return 0;
        }
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ADD_FAILURE() << "no answer";
    return -1;
  }
  int progress = 0;

  // A request by ioctl, through a handle that was opened as the constructor's flags say.
  Status ask(std::string_view bytes) {
    const auto done = m_.fs.ioctl(m_.root, kControlIno, handle_, control_ioctl(bytes.size()), bytes, 0);
    if (!done) return fail(done.error());
    off_ += bytes.size();
    return {};
  }

 private:
  Mount& m_;
  const Handle handle_;
  uint64_t off_ = 0;
};

TEST(Internal, CannotBeChanged) {
  SharedVolume volume;
  Mount m(volume);
  EXPECT_EQ(code_of(m.fs.unlink(m.root, kRootIno, ".stats")), EPERM);
  EXPECT_EQ(code_of(m.fs.rmdir(m.root, kRootIno, ".trash")), EPERM);
  EXPECT_EQ(code_of(m.fs.rename(m.root, kRootIno, ".stats", kRootIno, "x", 0)), EPERM);
  m.make(kRootIno, "x");
  EXPECT_EQ(code_of(m.fs.rename(m.root, kRootIno, "x", kRootIno, ".config", 0)), EPERM);
  EXPECT_EQ(code_of(m.fs.create(m.root, kRootIno, ".accesslog", 0644, O_RDWR)), EEXIST);
  EXPECT_EQ(code_of(m.fs.link(m.root, kStatsIno, kRootIno, "y")), EPERM);
  EXPECT_EQ(code_of(m.fs.open(m.root, kStatsIno, O_WRONLY, false)), EACCES);
  EXPECT_EQ(code_of(m.fs.setattr(m.root, kStatsIno, {.mode = 0777}, {})), EPERM);
  EXPECT_EQ(code_of(m.fs.lookup(m.root, kStatsIno, "x")), ENOTDIR);
  EXPECT_EQ(m.fs.getattr(m.root, kControlIno, {}).value().attr.mode, 0666);
  // Below the root the names are free, but for .control.
  const Ino dir = m.mkdir(kRootIno, "d");
  EXPECT_NE(m.make(dir, ".stats"), 0u);
  EXPECT_EQ(m.fs.lookup(m.root, dir, ".control").value().ino, kControlIno);
}

TEST(Internal, StatsCountRequests) {
  SharedVolume volume;
  Mount m(volume);
  m.make(kRootIno, "x", "abc");
  const std::string text = m.content(kStatsIno);
  for (const char* name :
       {"juicefs_meta_ops_total_Create ", "juicefs_meta_ops_durations_histogram_seconds_total ",
        "juicefs_transaction_durations_histogram_seconds_sum ", "juicefs_process_open_fds ",
        "juicefs_uptime ", "juicefs_cpu_usage ", "juicefs_memory ", "juicefs_used_buffer_size_bytes ",
        "juicefs_fuse_open_handlers "}) {
    EXPECT_NE(text.find(name), std::string::npos) << name;
  }
  EXPECT_NE(m.metrics.text("").find("fuse_ops_total_create 1\n"), std::string::npos);
  EXPECT_NE(m.metrics.text("").find("fuse_written_size_bytes_sum 3\n"), std::string::npos);
}

TEST(Internal, ConfigHasNoSecrets) {
  SharedVolume volume({.access_key = "AK", .secret_key = "very-secret", .session_token = "token-secret"});
  Mount m(volume, {.version = "1.2.3", .mount_point = "/mnt/x"});
  const std::string text = m.content(kConfigIno);
  EXPECT_EQ(text.find("secret\""), std::string::npos);
  EXPECT_EQ(text.find("very-secret"), std::string::npos);
  EXPECT_EQ(text.find("token-secret"), std::string::npos);
  const json config = json::parse(text);
  EXPECT_EQ(config["Format"]["Name"], "test");
  EXPECT_EQ(config["Format"]["SecretKey"], "removed");
  EXPECT_EQ(config["Mountpoint"], "/mnt/x");
  EXPECT_EQ(config["Meta"]["Sid"], m.meta.session_id());
}

TEST(Internal, AccessLogShowsRequestsButNotItself) {
  SharedVolume volume;
  Mount m(volume);
  const Handle log = m.open(kAccessLogIno, O_RDONLY).handle;
  m.make(kRootIno, "x");
  ASSERT_FALSE(m.fs.unlink(m.root, kRootIno, "none"));
  std::string text;
  while (text.find("none") == std::string::npos) text += m.read(kAccessLogIno, log);
  EXPECT_NE(text.find("] create (1,x,?rw-r--r--:00644): ("), std::string::npos) << text;
  EXPECT_NE(text.find("] unlink (1,none) - no such file or directory <0."), std::string::npos) << text;
  EXPECT_EQ(text.find(std::to_string(kAccessLogIno)), std::string::npos) << text;
  m.fs.release(m.root, kAccessLogIno, log, {});
}

TEST(Control, RemovesATreeWithProgress) {
  SharedVolume volume;
  Mount m(volume);
  const Ino dir = m.mkdir(kRootIno, "d");
  for (int i = 0; i < 50; ++i) m.make(dir, "f" + std::to_string(i));
  Control control(m);
  const std::string request = message(1002, ByteWriter().u64(1).u8(1).raw("d").u8(1).u8(50).take());
  control.send(request.substr(0, 5));
  control.send(request.substr(5));
  EXPECT_EQ(control.receive(), 0);
  EXPECT_GE(control.progress, 1);
  EXPECT_EQ(code_of(m.fs.lookup(m.root, kRootIno, "d")), ENOENT);
  control.send(request);  // the channel can be used again
  EXPECT_EQ(control.receive(), ENOENT);
  std::lock_guard lock(m.told_mutex);
  EXPECT_TRUE(
      std::ranges::any_of(m.told, [](const auto& t) { return t.parent == kRootIno && t.name == "d"; }));
}

TEST(Control, InfoOfAFile) {
  SharedVolume volume;
  Mount m(volume);
  const Ino dir = m.mkdir(kRootIno, "d");
  const Ino ino = m.make(dir, "f", std::string(100'000, 'x'));
  Control control(m);
  std::string data;
  control.send(message(1005, ByteWriter().u64(ino).u8(0).u8(0).u8(1).take()));
  ASSERT_EQ(control.receive(&data), 0);
  json info = json::parse(data);
  EXPECT_EQ(info["Ino"], ino);
  EXPECT_EQ(info["Failed"], false);
  EXPECT_EQ(info["Paths"], json::array({"/d/f"}));
  EXPECT_EQ(info["Summary"], (json{{"Length", 100'000}, {"Size", 102'400}, {"Files", 1}, {"Dirs", 0}}));
  ASSERT_EQ(info["Objects"].size(), 2u);
  EXPECT_EQ(info["Objects"][1]["Len"], 100'000 - 65536);
  EXPECT_TRUE(info["Objects"][0]["Key"].get<std::string>().starts_with("test/chunks/"));
  control.send(message(1005, ByteWriter().u64(ino).u8(0).u8(1).take()));
  ASSERT_EQ(control.receive(&data), 0);
  info = json::parse(data);
  EXPECT_EQ(info["Chunks"][0]["Len"], 100'000);
  control.send(message(1005, ByteWriter().u64(999'999).take()));
  ASSERT_EQ(control.receive(&data), 0);
  EXPECT_EQ(json::parse(data)["Failed"], true);
}

TEST(Control, AsksByIoctlWhereNobodyMayWrite) {
  SharedVolume volume;
  Mount m(volume);
  const Ino ino = m.make(kRootIno, "f", "abc");
  Control control(m, O_RDONLY);
  std::string data;
  ASSERT_TRUE(control.ask(message(1005, ByteWriter().u64(ino).u8(0).u8(1).take())));
  ASSERT_EQ(control.receive(&data), 0);
  EXPECT_EQ(json::parse(data)["Summary"]["Length"], 3);
  ASSERT_TRUE(control.ask(message(1002, ByteWriter().u64(1).u8(1).raw("f").u8(0).take())));
  EXPECT_EQ(control.receive(), EROFS);
  EXPECT_TRUE(m.fs.lookup(m.root, kRootIno, "f"));
  const Handle stats = m.open(kStatsIno, O_RDONLY).handle;
  EXPECT_EQ(code_of(m.fs.ioctl(m.root, kStatsIno, stats, control_ioctl(3), "abc", 0)), ENOTTY);
  m.close(kStatsIno, stats);
}

TEST(Control, StoresAllData) {
  SharedVolume volume;
  Mount m(volume);
  Mount other(volume);
  const Ino ino = m.make(kRootIno, "f");
  const Handle file = m.open(ino, O_RDWR).handle;
  ASSERT_TRUE(m.write(ino, file, 0, "abc"));
  Control control(m);
  std::string data;
  control.send(message(0xCF000001, ""));
  ASSERT_EQ(control.receive(&data), 0);
  EXPECT_EQ(json::parse(data), (json{{"Errno", 0}, {"Reason", ""}}));
  EXPECT_EQ(other.fs.getattr(other.root, ino, {}).value().attr.length, 3u);
  m.close(ino, file);
}

TEST(Control, InfoOfAWideTree) {
  SharedVolume volume;
  Mount m(volume);
  const Ino top = m.mkdir(kRootIno, "top");
  for (int i = 0; i < 40; ++i) {
    const Ino dir = m.mkdir(m.mkdir(top, "d" + std::to_string(i)), "inner");
    for (int j = 0; j < 5; ++j) m.make(dir, "f" + std::to_string(j), "x");
  }
  Control control(m);
  std::string data;
  control.send(message(1005, ByteWriter().u64(top).u8(1).u8(0).u8(1).take()));
  ASSERT_EQ(control.receive(&data), 0);
  EXPECT_EQ(json::parse(data)["Summary"],
            (json{{"Length", 200}, {"Size", (200 + 81) * 4096}, {"Files", 200}, {"Dirs", 81}}));
}

TEST(Control, SummaryKeepsTheLargest) {
  SharedVolume volume;
  Mount m(volume);
  const Ino dir = m.mkdir(kRootIno, "d");
  for (int i = 1; i <= 5; ++i)
    m.make(dir, "f" + std::to_string(i), std::string(static_cast<size_t>(i) * 5000, 'x'));
  Control control(m);
  std::string data;
  control.send(message(1007, ByteWriter().u64(1).u8(3).u8(2).u8(1).take()));
  ASSERT_EQ(control.receive(&data), 0);
  const json reply = json::parse(data);
  EXPECT_EQ(reply["Errno"], 0);
  EXPECT_EQ(reply["Tree"]["Files"], 5);
  EXPECT_EQ(reply["Tree"]["Dirs"], 2);
  const json& d = reply["Tree"]["Children"][0];
  EXPECT_EQ(d["Path"], "d");
  ASSERT_EQ(d["Children"].size(), 3u);
  EXPECT_EQ(d["Children"][0]["Path"], "d/f5");
  EXPECT_EQ(d["Children"][2]["Path"], "d/...");
  EXPECT_EQ(d["Children"][2]["Files"], 3);
}

TEST(Control, MalformedMessagesGetAnErrnoAndHarmNothing) {
  SharedVolume volume;
  Mount m(volume);
  m.make(kRootIno, "x", "abc");
  Control control(m);
  control.send(message(1, "whatever"));
  EXPECT_EQ(control.receive(), EINVAL);
  control.send(message(1005, "short"));
  EXPECT_EQ(control.receive(), EINVAL);
  control.send(message(1005, "12345678") + "tail");
  EXPECT_EQ(control.receive(), EIO);
  control.send(ByteWriter().u32(1002).u32(0xFFFFFFF0).take());
  EXPECT_EQ(control.receive(), EINVAL);
  control.send(message(1006, std::string(100, 'c')));
  EXPECT_EQ(control.receive(), ENOTSUP);
  EXPECT_EQ(m.content(m.fs.lookup(m.root, kRootIno, "x").value().ino), "abc");
}

TEST(Control, OnlyRootSkipsTheTrash) {
  SharedVolume volume;
  Mount m(volume);
  m.make(kRootIno, "x");
  const Handle h = m.open(kControlIno, O_RDWR).handle;
  const std::string request = message(1002, ByteWriter().u64(1).u8(1).raw("x").u8(1).take());
  ASSERT_TRUE(m.write(kControlIno, h, 0, request, {.uid = 1000, .gid = 1000, .pid = 3}));
  std::string answer;
  while (answer.empty()) answer = m.read(kControlIno, h, request.size());
  EXPECT_EQ(static_cast<uint8_t>(answer[0]), EPERM);
  m.close(kControlIno, h);
  EXPECT_TRUE(m.fs.lookup(m.root, kRootIno, "x"));
}

TEST(Identity, SquashAndUmask) {
  SharedVolume volume;
  Mount m(volume, {.umask = 077, .root_squash = Account{.uid = 65534, .gid = 65533}});
  Mount plain(volume);
  ASSERT_TRUE(plain.fs.setattr(plain.root, kRootIno, {.mode = 0755}, {}));
  EXPECT_EQ(code_of(m.fs.mkdir(m.root, kRootIno, "d", 0777)),
            EACCES);  // root counts as somebody else; the root is root's
  ASSERT_TRUE(plain.fs.setattr(plain.root, kRootIno, {.mode = 0777}, {}));
  const Attr made = m.fs.mkdir(m.root, kRootIno, "d", 0777).value().attr;
  EXPECT_EQ(made.uid, 65534u);
  EXPECT_EQ(made.gid, 65533u);
  EXPECT_EQ(made.mode, 0700);
}

}  // namespace
}  // namespace cider::vfs
