// Internal files: opening them, and the text of .stats and .config.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/metrics.h"
#include "base/url.h"
#include "vfs/volume_file_system.h"

namespace cider::vfs {
namespace {

using Json = nlohmann::ordered_json;

double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  uint64_t total = 0;
  uint64_t resident = 0;
  statm >> total >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double open_descriptors() {
  std::error_code error;
  double count = 0;
  for (std::filesystem::directory_iterator at("/proc/self/fd", error), end; !error && at != end;
       at.increment(error))
    ++count;
  return count;
}

// The volume's setting without what lets one in.
Json format_json(meta::Volume volume) {
  for (std::string* secret : {&volume.secret_key, &volume.session_token, &volume.encrypt_key}) {
    if (!secret->empty()) *secret = "removed";
  }
  volume.key_encrypted = false;
  volume.bucket = without_password(volume.bucket);
  const auto text = meta::encode_volume(volume);
  if (!text) return Json::object();
  Json json = Json::parse(*text, nullptr, false);
  return json.is_discarded() ? Json::object() : json;
}

int64_t nanos(Duration d) {
  return d.count();
}

}  // namespace

Result<EntryReply> VolumeFileSystem::internal_entry(const InternalNode& node) {
  const AttrReply self = TRY(getattr({}, node.ino, {}));
  return EntryReply{
      .ino = self.ino, .attr = self.attr, .entry_ttl = entry_ttl(self.attr), .attr_ttl = self.attr_ttl};
}

Result<OpenReply> VolumeFileSystem::open_internal(const Caller& caller, Ino ino, int flags) {
  const bool writes = (flags & O_ACCMODE) != O_RDONLY;
  if (writes && ino != kControlIno) return fail(EACCES);
  if (caller.check_permission) TRY(access(caller, ino, writes ? R_OK | W_OK : R_OK));
  std::unique_ptr<InternalFile> file;
  if (ino == kAccessLogIno) {
    file = access_log_.open();
  } else if (ino == kStatsIno) {
    file = std::make_unique<Snapshot>(stats_text());
  } else if (ino == kConfigIno) {
    file = std::make_unique<Snapshot>(config_text());
  } else if (ino == kControlIno) {
    file = std::make_unique<ControlChannel>(
        [this](const Caller& who, const ControlRequest& request, ControlProgress* progress) {
          return control_.run(who, request, progress);
        });
  } else {
    return fail(ENOENT);
  }
  const auto handle = handles_.add_internal(ino, flags, std::move(file));
  return OpenReply{.handle = handle->id, .direct_io = true};
}

std::string VolumeFileSystem::stats_text() const {
  std::string out;
  const auto gauge = [&](std::string_view name, double value) {
    out.append("juicefs_").append(name).append(" ").append(format_metric(value)).append("\n");
  };
  gauge("uptime", std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count());
  gauge("cpu_usage", cpu_seconds());
  gauge("memory", resident_bytes());
  gauge("process_cpu_seconds_total", cpu_seconds());
  gauge("process_resident_memory_bytes", resident_bytes());
  gauge("process_open_fds", open_descriptors());
  gauge("used_buffer_size_bytes", static_cast<double>(budget_.used()));
  gauge("fuse_open_handlers", static_cast<double>(handles_.size()));
  if (const auto usage = meta_.usage()) {
    gauge("used_space", static_cast<double>(usage->total_space - usage->available_space));
    gauge("used_inodes", static_cast<double>(usage->used_inodes));
    gauge("total_space", static_cast<double>(usage->total_space));
    gauge("total_inodes", static_cast<double>(usage->used_inodes + usage->available_inodes));
  }
  return out + metrics().text("juicefs_");
}

std::string VolumeFileSystem::config_text() const {
  const auto volume = meta_.volume();
  Json config;
  config["Meta"] = {
      {"ReadOnly", meta_.options().read_only},
      {"NoBGJob", !meta_.options().background_jobs},
      {"MaxDeletes", meta_.options().max_deletes},
      {"Heartbeat", std::chrono::nanoseconds(meta_.options().heartbeat).count()},
      {"MountPoint", options_.mount_point},
      {"Subdir", options_.subdir},
      {"Sid", meta_.session_id()},
      {"SkipDirMtime", std::chrono::nanoseconds(meta_.options().skip_dir_mtime).count()},
  };
  config["Format"] = format_json(*volume);
  config["Chunk"] = {
      {"BlockSize", volume->block_size * 1024},
      {"HashPrefix", volume->hash_prefix},
      {"BufferSize", options_.buffer_size},
  };
  config["Security"] = {{"EnableCap", options_.enable_cap}, {"EnableSELinux", options_.enable_selinux}};
  config["Version"] = options_.version;
  config["AttrTimeout"] = nanos(options_.attr_ttl);
  config["DirEntryTimeout"] = nanos(options_.dir_entry_ttl);
  config["NegEntryTimeout"] = nanos(options_.negative_ttl);
  config["EntryTimeout"] = nanos(options_.entry_ttl);
  config["ReaddirCache"] = options_.readdir_cache;
  if (!options_.access_log.empty()) config["AccessLog"] = options_.access_log;
  if (!options_.subdir.empty()) config["Subdir"] = options_.subdir;
  config["PrefixInternal"] = options_.prefix_internal;
  config["HideInternal"] = options_.hide_internal;
  const auto account = [](const Account& a) { return Json{{"Uid", a.uid}, {"Gid", a.gid}}; };
  if (options_.root_squash) config["RootSquash"] = account(*options_.root_squash);
  if (options_.all_squash) config["AllSquash"] = account(*options_.all_squash);
  config["UMask"] = options_.umask.value_or(0);
  config["Pid"] = getpid();
  config["PPid"] = getppid();
  config["Mountpoint"] = options_.mount_point;
  return config.dump(1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace cider::vfs
