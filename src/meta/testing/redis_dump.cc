// Every record of a volume on Redis, by its keys.
#include <functional>
#include <map>

#include "meta/store/redis/client.h"
#include "meta/store/redis/keys.h"
#include "meta/testing/volume_dump.h"

namespace cider::meta::testing {
namespace {

using redis::parse_number;
using redis::parse_pair;
using redis::Reply;

// All keys that begin with ARGV[1], and their values, at one instant: jobs may be at work.
constexpr std::string_view kSnapshot = R"lua(
local call = redis.call
local read = {
  string = function(k) return call('GET', k) end,
  hash = function(k) return call('HGETALL', k) end,
  list = function(k) return call('LRANGE', k, 0, -1) end,
  set = function(k) return call('SMEMBERS', k) end,
  zset = function(k) return call('ZRANGE', k, 0, -1) end,
}
local out = {}
for _, k in ipairs(call('KEYS', ARGV[1] .. '*')) do
  out[#out + 1] = k
  out[#out + 1] = read[call('TYPE', k).ok](k)
end
return out
)lua";

struct Dumper {
  std::map<std::string, Reply, std::less<>> values;
  VolumeDump out;

  Reply value(std::string_view key) const {
    auto it = values.find(key);
    return it == values.end() ? Reply{} : it->second;
  }

  Status each_pair(const std::string& key,
                   const std::function<Status(std::string_view, std::string_view)>& take) {
    Reply reply = value(key);
    for (size_t i = 0; i + 1 < reply.size(); i += 2) TRY(take(reply[i].text(), reply[i + 1].text()));
    return {};
  }

  Status take_locks(const std::string& key) {
    return each_pair(key, [&](std::string_view field, std::string_view) -> Status {
      if (auto holder = redis::parse_holder(field)) out.lock_sessions.insert(holder->sid);
      return {};
    });
  }

  Status take_chunk(const std::string& key) {
    std::pair<Ino, uint32_t> chunk;
    if (!parse_pair(std::string_view(key).substr(1), '_', &chunk.first, &chunk.second)) return {};
    Reply reply = value(key);
    std::string records;
    for (size_t i = 0; i < reply.size(); ++i) records += reply[i].text();
    out.chunks[chunk] = TRY(decode_slices(records));
    return {};
  }

  Status take_numbered(const std::string& key) {
    auto number = parse_number<uint64_t>(std::string_view(key).substr(1));
    if (!number) return {};
    switch (key[0]) {
      case 'i':
        out.nodes[*number] = TRY(decode_attr(value(key).text()));
        return {};
      case 'd':
        return each_pair(key, [&](std::string_view name, std::string_view record) -> Status {
          out.entries.push_back({*number, std::string(name), TRY(decode_entry(record))});
          return {};
        });
      case 's':
        out.symlinks[*number] = value(key).text();
        return {};
      case 'x':
        out.with_xattrs.insert(*number);
        return {};
      case 'p':
        return each_pair(key, [&](std::string_view parent, std::string_view count) -> Status {
          (*out.parents)[*number][parse_number<Ino>(parent).value_or(0)] =
              parse_number<uint32_t>(count).value_or(0);
          return {};
        });
      default:
        return {};
    }
  }

  // What has no count has one reference; those are found by the records.
  Status take_refs() {
    for (const auto& [chunk, slices] : out.chunks) {
      for (const Slice& slice : slices) {
        if (slice.id != 0) out.refs[{slice.id, slice.size}] = 1;
      }
    }
    return each_pair(std::string(redis::kSliceRefs),
                     [&](std::string_view field, std::string_view count) -> Status {
                       std::pair<uint64_t, uint32_t> slice;
                       if (parse_pair(field.substr(1), '_', &slice.first, &slice.second)) {
                         out.refs[slice] = parse_number<int64_t>(count).value_or(0) + 1;
                       }
                       return {};
                     });
  }

  Status take_sets() {
    TRY(each_pair(std::string(redis::kDelayedSlices),
                  [&](std::string_view, std::string_view records) -> Status {
                    auto slices = TRY(decode_delayed_slices(records));
                    out.delayed.insert(out.delayed.end(), slices.begin(), slices.end());
                    for (const DelayedSlice& slice : slices) out.refs.try_emplace({slice.id, slice.size}, 1);
                    return {};
                  }));
    Reply sids = value(redis::kSessions);
    for (size_t i = 0; i < sids.size(); ++i)
      out.sessions.insert(parse_number<uint64_t>(sids[i].text()).value_or(0));
    Reply files = value(redis::kDeletedFiles);
    for (size_t i = 0; i < files.size(); ++i) {
      Ino ino = 0;
      uint64_t length = 0;
      if (parse_pair(files[i].text(), ':', &ino, &length)) out.deleted_files.insert(ino);
    }
    return {};
  }

  Status take_stats() {
    auto take = [&](std::string_view key, int64_t DirStat::* member) {
      return each_pair(std::string(key), [&, member](std::string_view ino, std::string_view value) -> Status {
        out.dir_stats[parse_number<Ino>(ino).value_or(0)].*member = parse_number<int64_t>(value).value_or(0);
        return {};
      });
    };
    TRY(take(redis::kDirLength, &DirStat::length));
    TRY(take(redis::kDirSpace, &DirStat::space));
    TRY(take(redis::kDirInodes, &DirStat::inodes));
    out.used_space = parse_number<int64_t>(value(redis::kUsedSpace).text()).value_or(0);
    out.used_inodes = parse_number<int64_t>(value(redis::kTotalInodes).text()).value_or(0);
    return {};
  }

  Status dump() {
    out.parents.emplace();
    for (const auto& [key, ignored] : values) {
      if (key.starts_with("lockf") || key.starts_with("lockp")) {
        TRY(take_locks(key));
      } else if (key[0] == 'c') {
        TRY(take_chunk(key));
      } else if (auto sid = parse_number<uint64_t>(key.starts_with("session") ? key.substr(7) : "")) {
        Reply inodes = value(key);
        for (size_t j = 0; j < inodes.size(); ++j) {
          out.sustained.emplace(parse_number<Ino>(inodes[j].text()).value_or(0), *sid);
        }
      } else {
        TRY(take_numbered(key));
      }
    }
    TRY(take_sets());
    TRY(take_refs());
    return take_stats();
  }
};

}  // namespace

Result<VolumeDump> dump_redis(const std::string& url) {
  redis::Client client(TRY(redis::parse_redis_url(url)));
  TRY(client.open());
  const redis::Keyspace& keyspace = client.keyspace();
  Reply snapshot = TRY(client.run("EVAL", kSnapshot, 1, client.key(redis::kSetting), keyspace.prefix()));
  if (snapshot.is_error()) return fail(redis::error_of(snapshot));
  Dumper dumper;
  for (size_t i = 0; i + 1 < snapshot.size(); i += 2) {
    dumper.values.emplace(keyspace.name(snapshot[i].text()), snapshot[i + 1]);
  }
  TRY(dumper.dump());
  return std::move(dumper.out);
}

}  // namespace cider::meta::testing
