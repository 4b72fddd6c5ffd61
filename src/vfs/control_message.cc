#include "vfs/control_message.h"

#include <algorithm>

#include "base/bytes.h"

namespace cider::vfs {
namespace {

constexpr size_t kHeader = 8;
constexpr uint8_t kProgress = 0xFE;
constexpr uint8_t kData = 0xFF;

// A field that older tools leave out.
uint8_t u8_or(ByteReader& in, uint8_t otherwise) {
  return in.remaining() > 0 ? in.u8() : otherwise;
}

template <class Request>
Result<ControlRequest> checked(const ByteReader& in, Request request) {
  if (!in.ok()) return fail(EINVAL, "control message too short");
  return ControlRequest(std::move(request));
}

Result<ControlRequest> parse_fill(ByteReader& in) {
  FillCacheRequest request;
  std::string_view paths = in.raw(in.u32());
  request.threads = in.u16();
  request.background = in.u8() != 0;
  const uint8_t action = u8_or(in, 0);
  if (action > static_cast<uint8_t>(CacheAction::check))
    return fail(EINVAL, "unknown action " + std::to_string(action) + " of warmup");
  request.action = static_cast<CacheAction>(action);
  while (!paths.empty()) {
    const size_t end = std::min(paths.find('\n'), paths.size());
    if (end > 0) request.paths.emplace_back(paths.substr(0, end));
    paths.remove_prefix(std::min(end + 1, paths.size()));
  }
  return checked(in, std::move(request));
}

}  // namespace

Result<ControlRequest> parse_control_request(uint32_t command, std::string_view payload) {
  ByteReader in(payload);
  switch (static_cast<ControlCommand>(command)) {
    case ControlCommand::remove_tree: {
      RemoveTreeRequest request{.parent = in.u64()};
      request.name = in.raw(in.u8());
      request.skip_trash = (u8_or(in, 0) & 1) != 0;
      return checked(in, std::move(request));
    }
    case ControlCommand::legacy_info:
    case ControlCommand::info: {
      InfoRequest request{.ino = in.u64()};
      request.recursive = u8_or(in, 1) != 0;
      request.raw = u8_or(in, 0) != 0;
      request.strict = u8_or(in, 0) != 0;
      request.legacy = command == static_cast<uint32_t>(ControlCommand::legacy_info);
      return checked(in, request);
    }
    case ControlCommand::summary: {
      SummaryRequest request{.ino = in.u64()};
      request.depth = u8_or(in, request.depth);
      request.top = u8_or(in, request.top);
      return checked(in, request);
    }
    case ControlCommand::compact: {
      CompactRequest request{.ino = in.u64()};
      return checked(in, request);
    }
    case ControlCommand::flush_all:
      return FlushAllRequest{};
    case ControlCommand::fill_cache:
      return parse_fill(in);
    case ControlCommand::clone:
      return fail(ENOTSUP, "control command " + std::to_string(command) + " is not supported");
  }
  return fail(EINVAL, "unknown control command " + std::to_string(command));
}

bool changes_files(const ControlRequest& request) {
  return std::holds_alternative<RemoveTreeRequest>(request) ||
         std::holds_alternative<CompactRequest>(request);
}

Result<std::optional<ControlAssembler::Message>> ControlAssembler::add(std::string_view data) {
  if (gathered_.size() + data.size() > kMaxPayload + kHeader) {
    gathered_.clear();
    return fail(EINVAL, "control message too long");
  }
  gathered_.append(data);
  if (gathered_.size() < kHeader) return std::optional<Message>();
  ByteReader in(gathered_);
  const uint32_t command = in.u32();
  const uint32_t size = in.u32();
  if (size > kMaxPayload) {
    gathered_.clear();
    return fail(EINVAL, "control message too long");
  }
  if (in.remaining() < size) return std::optional<Message>();
  const std::string whole = std::move(gathered_);
  gathered_.clear();
  if (whole.size() > kHeader + size) return fail(EIO, "bytes after the end of a control message");
  return std::optional(Message{command, whole.substr(kHeader)});
}

std::string progress_frame(uint64_t done, uint64_t total) {
  return ByteWriter().u8(kProgress).u64(done).u64(total).take();
}

std::string data_frame(std::string_view json) {
  return ByteWriter().u8(kData).u32(static_cast<uint32_t>(json.size())).raw(json).take();
}

std::string error_frame(int error) {
  return std::string(1, static_cast<char>(error));
}

}  // namespace cider::vfs
