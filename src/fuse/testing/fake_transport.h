// The kernel's side for unit tests: builds requests and keeps the answers.
#pragma once

#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "fuse/transport.h"

namespace cider::fuse::testing {

struct Answer {
  int error = 0;
  std::string payload;

  template <class T>
  T as(size_t at = 0) const {
    T value{};
    if (payload.size() >= at + sizeof(T)) std::memcpy(&value, payload.data() + at, sizeof(T));
    return value;
  }
};

class FakeTransport final : public ReplySink {
 public:
  bool answer(uint64_t unique, int error, std::span<const iovec> payload) noexcept override {
    std::lock_guard lock(mutex_);
    answers_[unique].push_back({error, gather(payload)});
    return taking;
  }
  Status notify(int code, std::span<const iovec> payload) override {
    std::lock_guard lock(mutex_);
    notified_.emplace_back(code, gather(payload));
    return {};
  }

  // Every answer that was given to the request.
  std::vector<Answer> answers(uint64_t unique) {
    std::lock_guard lock(mutex_);
    return answers_[unique];
  }
  std::vector<std::pair<int, std::string>> notified() {
    std::lock_guard lock(mutex_);
    return notified_;
  }

  bool taking = true;  // false: the kernel refuses answers, as after an abort

 private:
  static std::string gather(std::span<const iovec> payload) {
    std::string bytes;
    for (const iovec& piece : payload) bytes.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
    return bytes;
  }

  std::mutex mutex_;
  std::map<uint64_t, std::vector<Answer>> answers_;
  std::vector<std::pair<int, std::string>> notified_;
};

// The bytes of a structure, for a message's body.
template <class T>
std::string raw(const T& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

inline std::string message(uint32_t opcode, uint64_t unique, uint64_t nodeid, const std::string& body) {
  fuse_in_header header{.len = static_cast<uint32_t>(sizeof(fuse_in_header) + body.size()),
                        .opcode = opcode,
                        .unique = unique,
                        .nodeid = nodeid,
                        .uid = 1000,
                        .gid = 1001,
                        .pid = 1};
  return raw(header) + body;
}

}  // namespace cider::fuse::testing
