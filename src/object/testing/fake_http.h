// An HTTP server that answers with scripted bytes and keeps what it was asked. For tests only.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/unique_fd.h"

namespace cider::object::testing {

struct HttpAsked {
  std::string method;
  std::string target;  // "/bucket/key?query"
  std::string head;    // with its request line
  std::string body;
  int connection = 0;  // the how many-th, from 0

  std::string header(std::string_view lower_case_name) const;
};

// What is done about one request.
struct HttpAnswer {
  std::string bytes;                                                // sent as they are
  enum class Then { keep, close, reset, stall } then = Then::keep;  // `stall`: nothing until the client goes
};

// With Content-Length and, if any, more header lines ("a: b\r\n").
HttpAnswer answer(int status, std::string_view body, std::string_view headers = "");
// S3's <Error>; `more` is added inside.
HttpAnswer error_answer(int status, std::string_view code, std::string_view message = "",
                        std::string_view more = "", std::string_view headers = "");

// Thread-safe.
class FakeHttp {
 public:
  // n is the how many-th request, from 0.
  using Script = std::function<HttpAnswer(const HttpAsked& asked, int n)>;

  explicit FakeHttp(Script script);
  ~FakeHttp();
  FakeHttp(const FakeHttp&) = delete;

  int port() const { return port_; }
  std::string url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  std::vector<HttpAsked> asked();
  int connections();
  void wait_for_requests(size_t n);

 private:
  void accept_all();
  void serve(UniqueFd client, int connection);

  const Script script_;
  UniqueFd listener_;
  int port_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<HttpAsked> asked_;
  std::vector<int> open_;
  bool stopping_ = false;
  int connections_ = 0;
  std::vector<std::jthread> threads_;
  std::jthread acceptor_;
};

}  // namespace cider::object::testing
