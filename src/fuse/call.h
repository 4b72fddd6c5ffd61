// One request on its way through a handler: its arguments, on whose behalf, and the duty to answer.
#pragma once

#include "base/caller.h"
#include "fuse/arg_reader.h"
#include "fuse/encode.h"
#include "fuse/interrupts.h"
#include "fuse/transport.h"
#include "vfs/file_system.h"

namespace cider::fuse {

// What an answer that comes after the handler has returned needs to live.
struct Pending {
  Pending(Reply r, InterruptTable& table, const fuse_in_header& header)
      : reply(std::move(r)), interrupts(table, header) {}
  Reply reply;
  InterruptTable::Entry interrupts;
};

// Lives on the stack of the thread that handles the request.
struct Call {
  Call(vfs::FileSystem& file_system, Request& r, Reply& answer_to, std::stop_token interrupt)
      : fs(file_system), request(r), args(r.body()), reply(answer_to) {
    caller.uid = r.header().uid;
    caller.gid = r.header().gid;
    caller.pid = r.header().pid;
    caller.interrupt = std::move(interrupt);
  }

  Ino ino() const { return request.header().nodeid; }

  void malformed() { reply.error(EIO); }
  void answer(const Status& status) { reply.error(code_of(status)); }
  void answer(const Result<vfs::EntryReply>& entry) {
    if (!entry) return answer_error(entry);
    reply.value(encode_entry(*entry));
  }
  void answer(const Result<vfs::AttrReply>& attr) {
    if (!attr) return answer_error(attr);
    reply.value(encode_attr_reply(*attr));
  }
  template <class T>
  void answer_error(const Result<T>& result) {
    reply.error(result.error().code);
  }

  vfs::FileSystem& fs;
  Request& request;
  ArgReader args;
  Caller caller;
  Reply& reply;
};

}  // namespace cider::fuse
