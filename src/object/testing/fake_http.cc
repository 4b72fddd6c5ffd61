#include "object/testing/fake_http.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>
#include <stdexcept>

#include "base/testing/sockets.h"

namespace cider::object::testing {

using cider::testing::send_all;

namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// Reads until `bytes` has `size` bytes; false when the client has gone.
bool fill(int fd, std::string& bytes, size_t size) {
  char piece[1 << 16];
  while (bytes.size() < size) {
    const ssize_t n = ::recv(fd, piece, sizeof piece, 0);
    if (n <= 0) return false;
    bytes.append(piece, static_cast<size_t>(n));
  }
  return true;
}

}  // namespace

std::string HttpAsked::header(std::string_view name) const {
  const std::string all = lower(head);
  const size_t at = all.find("\r\n" + std::string(name) + ": ");
  if (at == all.npos) return "";
  const size_t begin = at + name.size() + 4;
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

HttpAnswer answer(int status, std::string_view body, std::string_view headers) {
  std::string bytes =
      "HTTP/1.1 " + std::to_string(status) + " x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
  bytes += headers;
  bytes += "\r\n";
  bytes += body;
  return {std::move(bytes)};
}

HttpAnswer error_answer(int status, std::string_view code, std::string_view message, std::string_view more,
                        std::string_view headers) {
  std::string body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>";
  body += code;
  body += "</Code><Message>";
  body += message;
  body += "</Message>";
  body += more;
  return answer(status, body + "</Error>", headers);
}

FakeHttp::FakeHttp(Script script) : script_(std::move(script)) {
  listener_ = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener_.get(), 64) != 0 ||
      ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("the fake server cannot listen");
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::jthread([this] { accept_all(); });
}

FakeHttp::~FakeHttp() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    for (int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  ::shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  threads_.clear();
}

std::vector<HttpAsked> FakeHttp::asked() {
  std::lock_guard lock(mutex_);
  return asked_;
}

int FakeHttp::connections() {
  std::lock_guard lock(mutex_);
  return connections_;
}

void FakeHttp::wait_for_requests(size_t n) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return asked_.size() >= n; });
}

void FakeHttp::accept_all() {
  for (;;) {
    UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    std::lock_guard lock(mutex_);
    if (stopping_ || !client) return;
    open_.push_back(client.get());
    threads_.emplace_back(
        [this, fd = client.release(), connection = connections_++] { serve(UniqueFd(fd), connection); });
  }
}

void FakeHttp::serve(UniqueFd client, int connection) {
  std::string bytes;
  for (bool goes_on = true; goes_on;) {
    size_t end;
    while ((end = bytes.find("\r\n\r\n")) == bytes.npos) {
      if (!fill(client.get(), bytes, bytes.size() + 1)) break;
    }
    if (end == bytes.npos) break;
    HttpAsked asked;
    asked.connection = connection;
    asked.head = bytes.substr(0, end + 2);
    bytes.erase(0, end + 4);
    asked.method = asked.head.substr(0, asked.head.find(' '));
    const size_t target = asked.method.size() + 1;
    asked.target = asked.head.substr(target, asked.head.find(' ', target) - target);
    if (const std::string length = asked.header("content-length"); !length.empty()) {
      const size_t size = std::stoul(length);
      if (!asked.header("expect").empty()) send_all(client.get(), "HTTP/1.1 100 Continue\r\n\r\n");
      if (!fill(client.get(), bytes, size)) break;
      asked.body = bytes.substr(0, size);
      bytes.erase(0, size);
    }
    int n;
    {
      std::lock_guard lock(mutex_);
      n = static_cast<int>(asked_.size());
      asked_.push_back(asked);
      changed_.notify_all();
    }
    const HttpAnswer reply = script_(asked, n);
    goes_on = send_all(client.get(), reply.bytes) && reply.then == HttpAnswer::Then::keep;
    if (reply.then == HttpAnswer::Then::stall) fill(client.get(), bytes, bytes.size() + 1);
    if (reply.then == HttpAnswer::Then::reset) {
      const linger hard{1, 0};
      ::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    }
  }
  std::lock_guard lock(mutex_);
  std::erase(open_, client.get());
  client.close();
}

}  // namespace cider::object::testing
