#include "object/s3/http.h"

#include <curl/curl.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <iterator>
#include <mutex>
#include <optional>

#include "base/budget.h"
#include "base/text.h"
#include "object/s3/trusted.h"

namespace cider::object::s3 {
namespace {

// What a request holds in memory, beside its body's.
constexpr size_t kSmallestBuffer = 16 << 10;
constexpr size_t kReceiveBuffer = 256 << 10;
constexpr size_t kSendBuffer = 256 << 10;
constexpr size_t kHeaders = 4 << 10;
// What a connection holds as long as it is there: measured, libcurl 7.88 with OpenSSL 3.0.
constexpr size_t kConnection = 32 << 10;
constexpr size_t kTlsConnection = 96 << 10;
constexpr size_t kMaxIdle = 512;
constexpr long kExpectTimeoutMs = 1000;

template <auto function>
struct Free {
  template <class T>
  void operator()(T* thing) const {
    (void)function(thing);
  }
};
using Easy = std::unique_ptr<CURL, Free<curl_easy_cleanup>>;
using Multi = std::unique_ptr<CURLM, Free<curl_multi_cleanup>>;
using Share = std::unique_ptr<CURLSH, Free<curl_share_cleanup>>;
using List = std::unique_ptr<curl_slist, Free<curl_slist_free_all>>;

void init_library() {
  static const CURLcode done = curl_global_init(CURL_GLOBAL_DEFAULT);
  (void)done;
}

bool is_tls(const HttpRequest& request) {
  return request.url.starts_with("https:");
}

bool has_body(const HttpRequest& request) {
  return request.method != "GET" && request.method != "HEAD" && request.method != "DELETE";
}

// What answers something else than a GET is short.
size_t receive_buffer(const HttpRequest& request) {
  if (request.method != "GET") return kSmallestBuffer;
  return std::clamp(std::min(request.expected, kReceiveBuffer) + kHeaders, kSmallestBuffer, kReceiveBuffer);
}

size_t send_buffer(const HttpRequest& request) {
  if (!has_body(request)) return 0;
  const size_t size = request.chain ? total_size(*request.chain) : request.text.size();
  return std::clamp(size, kSmallestBuffer, kSendBuffer);
}

// The host alone: a URL may hold a signature.
std::string host_of(std::string_view url) {
  const size_t begin = url.find("://");
  if (begin != url.npos) url.remove_prefix(begin + 3);
  return std::string(url.substr(0, url.find_first_of("/?")));
}

// Reads a body piece by piece.
class BodyReader {
 public:
  explicit BodyReader(const HttpRequest& request) : request_(request) {}

  size_t size() const { return request_.chain ? total_size(*request_.chain) : request_.text.size(); }

  size_t read(char* out, size_t room) {
    size_t done = 0;
    while (done < room) {
      const std::string_view rest = piece().substr(offset_);
      const size_t n = std::min(room - done, rest.size());
      if (n > 0) std::memcpy(out + done, rest.data(), n);
      done += n;
      offset_ += n;
      if (n == rest.size() && !next_piece()) break;
    }
    return done;
  }

  // From the start: only that is asked for, when an idle connection turned out to be closed.
  void rewind() { piece_ = offset_ = 0; }

 private:
  std::string_view piece() const {
    if (!request_.chain) return request_.text;
    return piece_ < request_.chain->size() ? (*request_.chain)[piece_].text() : std::string_view();
  }
  bool next_piece() {
    if (!request_.chain || piece_ >= request_.chain->size()) return false;
    piece_++;
    offset_ = 0;
    return piece_ < request_.chain->size();
  }

  const HttpRequest& request_;
  size_t piece_ = 0;
  size_t offset_ = 0;
};

}  // namespace

std::string_view HttpResponse::header(std::string_view name) const {
  for (const auto& [has, value] : headers) {
    if (has == name) return value;
  }
  return {};
}

// A connection of its own: a multi handle keeps it, can be polled and, unlike curl_easy_perform, woken.
struct HttpClient::Handle {
  Handle(MemoryBudget* memory, bool tls) : held(memory, tls ? kTlsConnection : kConnection) {}

  const BudgetCharge held;
  Easy easy{curl_easy_init()};
  Multi multi{curl_multi_init()};
  Monotonic::time_point idle_since;
};

std::shared_ptr<Trusted> certificates_of(const std::string& ca_file) {
  init_library();
  const Easy easy(curl_easy_init());
  const auto libcurls_own = [&](CURLINFO info) -> std::string {
    const char* text = nullptr;
    curl_easy_getinfo(easy.get(), info, &text);
    return text ? text : "";
  };
  return std::make_shared<Trusted>(ca_file.empty() ? libcurls_own(CURLINFO_CAINFO) : ca_file,
                                   libcurls_own(CURLINFO_CAPATH));
}

// Names, TLS sessions and certificates are known to all connections; idle connections wait here.
struct HttpClient::Shared {
  Share share{curl_share_init()};
  std::array<std::mutex, CURL_LOCK_DATA_LAST> locks;
  const std::shared_ptr<Trusted> trusted;
  std::mutex mutex;
  std::vector<std::unique_ptr<Handle>> idle;  // the warmest last

  explicit Shared(const HttpOptions& options)
      : trusted(options.trusted ? options.trusted : certificates_of(options.ca_file)) {
    curl_share_setopt(share.get(), CURLSHOPT_USERDATA, this);
    curl_share_setopt(
        share.get(), CURLSHOPT_LOCKFUNC, +[](CURL*, curl_lock_data what, curl_lock_access, void* self) {
          static_cast<Shared*>(self)->locks[static_cast<size_t>(what)].lock();
        });
    curl_share_setopt(
        share.get(), CURLSHOPT_UNLOCKFUNC, +[](CURL*, curl_lock_data what, void* self) {
          static_cast<Shared*>(self)->locks[static_cast<size_t>(what)].unlock();
        });
    curl_share_setopt(share.get(), CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    curl_share_setopt(share.get(), CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
  }
};

// One request on one handle.
class HttpClient::Transfer {
 public:
  Transfer(const HttpOptions& options, Handle& handle, const HttpRequest& request, const BodySink* sink,
           size_t text_limit)
      : options_(options),
        handle_(handle),
        request_(request),
        sink_(sink),
        text_limit_(text_limit),
        buffers_(options.memory, receive_buffer(request) + send_buffer(request)),
        body_(request) {}

  Result<HttpResponse> run(Shared& shared, const std::stop_token& stop);

 private:
  void set_options(CURLSH* share);
  Status set_trusted(Trusted& trusted);
  void set_method();
  Result<CURLcode> transfer(const std::stop_token& stop);
  std::optional<Error> late(Monotonic::time_point now) const;
  std::unexpected<Error> failed(CURLcode code);
  std::unexpected<Error> say(int code, const std::string& what) const {
    return fail(code, request_.method + " " + host_of(request_.url) + ": " + what);
  }
  void moved() { last_move_ = Monotonic::now(); }

  size_t take_header(std::string_view line);
  size_t take_body(std::span<const std::byte> bytes);
  size_t give_body(char* out, size_t room);

  const HttpOptions& options_;
  Handle& handle_;
  const HttpRequest& request_;
  const BodySink* const sink_;
  const size_t text_limit_;
  const BudgetCharge buffers_;
  Trusted::Store trusted_;
  BodyReader body_;
  size_t sent_ = 0;
  HttpResponse response_;
  Status sink_status_;
  bool answered_ = false;
  List headers_;
  std::array<char, CURL_ERROR_SIZE> why_{};
  const Monotonic::time_point began_ = Monotonic::now();
  Monotonic::time_point last_move_ = began_;
};

void HttpClient::Transfer::set_method() {
  CURL* easy = handle_.easy.get();
  if (request_.method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  } else if (has_body(request_)) {
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(body_.size()));
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, static_cast<long>(send_buffer(request_)));
  }
  if (request_.method != "HEAD") curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
  curl_easy_setopt(easy, CURLOPT_READDATA, this);
  curl_easy_setopt(
      easy, CURLOPT_READFUNCTION, +[](char* out, size_t size, size_t n, void* self) {
        return static_cast<Transfer*>(self)->give_body(out, size * n);
      });
  curl_easy_setopt(easy, CURLOPT_SEEKDATA, this);
  curl_easy_setopt(
      easy, CURLOPT_SEEKFUNCTION, +[](void* self, curl_off_t offset, int origin) -> int {
        if (offset != 0 || origin != SEEK_SET) return CURL_SEEKFUNC_FAIL;
        static_cast<Transfer*>(self)->body_.rewind();
        static_cast<Transfer*>(self)->sent_ = 0;
        return CURL_SEEKFUNC_OK;
      });
}

void HttpClient::Transfer::set_options(CURLSH* share) {
  CURL* easy = handle_.easy.get();
  curl_easy_reset(easy);
  curl_easy_setopt(easy, CURLOPT_SHARE, share);
  curl_easy_setopt(easy, CURLOPT_URL, request_.url.c_str());
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);  // a lookup of a name that hangs is left behind
  curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, static_cast<long>(receive_buffer(request_)));
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.connect_timeout.count()));
  curl_easy_setopt(easy, CURLOPT_EXPECT_100_TIMEOUT_MS, kExpectTimeoutMs);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, options_.user_agent.c_str());
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, why_.data());
  if (!options_.user.empty()) {
    curl_easy_setopt(easy, CURLOPT_HTTPAUTH,
                     static_cast<long>(options_.digest ? CURLAUTH_DIGEST : CURLAUTH_BASIC));
    curl_easy_setopt(easy, CURLOPT_USERNAME, options_.user.c_str());
    curl_easy_setopt(easy, CURLOPT_PASSWORD, options_.password.c_str());
  }
  if (!options_.use_proxy) curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, options_.verify_tls ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, options_.verify_tls ? 2L : 0L);
  if (!options_.cert_file.empty()) curl_easy_setopt(easy, CURLOPT_SSLCERT, options_.cert_file.c_str());
  if (!options_.key_file.empty()) curl_easy_setopt(easy, CURLOPT_SSLKEY, options_.key_file.c_str());

  curl_slist* list = nullptr;
  for (const std::string& header : request_.headers) list = curl_slist_append(list, header.c_str());
  list = curl_slist_append(list, request_.expect_continue ? "Expect: 100-continue" : "Expect:");
  headers_.reset(list);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(
      easy, CURLOPT_HEADERFUNCTION, +[](char* line, size_t size, size_t n, void* self) {
        return static_cast<Transfer*>(self)->take_header({line, size * n});
      });
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(
      easy, CURLOPT_WRITEFUNCTION, +[](char* bytes, size_t size, size_t n, void* self) {
        return static_cast<Transfer*>(self)->take_body(std::as_bytes(std::span(bytes, size * n)));
      });
  set_method();
}

Status HttpClient::Transfer::set_trusted(Trusted& trusted) {
  CURL* easy = handle_.easy.get();
  trusted_ = TRY(trusted.get());
  curl_easy_setopt(easy, CURLOPT_CAINFO, nullptr);
  curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
  curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, trusted_.get());
  curl_easy_setopt(
      easy, CURLOPT_SSL_CTX_FUNCTION, +[](CURL*, void* context, void* store) {
        SSL_CTX_set1_cert_store(static_cast<SSL_CTX*>(context), static_cast<X509_STORE*>(store));
        return CURLE_OK;
      });
  return {};
}

size_t HttpClient::Transfer::take_header(std::string_view line) {
  moved();
  if (line.starts_with("HTTP/")) {  // of the answer proper, after one of 100
    response_ = {};
    const size_t blank = line.find(' ');
    for (char c : blank == line.npos ? std::string_view() : line.substr(blank + 1, 3)) {
      if (c < '0' || c > '9') break;
      response_.status = response_.status * 10 + (c - '0');
    }
    answered_ = response_.status >= 200;
    return line.size();
  }
  if (const size_t colon = line.find(':'); colon != line.npos) {
    std::string name(trim(line.substr(0, colon)));
    std::ranges::transform(name, name.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    response_.headers.emplace_back(std::move(name), trim(line.substr(colon + 1)));
  }
  return line.size();
}

size_t HttpClient::Transfer::take_body(std::span<const std::byte> bytes) {
  moved();
  if (sink_ && response_.status / 100 == 2) {
    sink_status_ = (*sink_)(response_, bytes);
    return sink_status_ ? bytes.size() : 0;
  }
  if (response_.text.size() + bytes.size() > text_limit_) {
    sink_status_ = say(EFBIG, "the answer is larger than " + std::to_string(text_limit_) + " bytes");
    return 0;
  }
  response_.text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return bytes.size();
}

size_t HttpClient::Transfer::give_body(char* out, size_t room) {
  moved();
  const size_t n = body_.read(out, room);
  sent_ += n;
  return n;
}

std::optional<Error> HttpClient::Transfer::late(Monotonic::time_point now) const {
  const auto seconds = [](Millis time) {
    const double s = std::chrono::duration<double>(time).count();
    std::string text = std::to_string(s);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.')) text.pop_back();
    return text + " s";
  };
  const auto error = [&](const std::string& what) { return say(ETIMEDOUT, what).error(); };
  if (now - began_ >= request_.timeout) {
    return error("not done within " + seconds(request_.timeout) + ", the limit of one request");
  }
  const bool waits = !answered_ && sent_ == body_.size();
  if (waits && now - last_move_ >= options_.first_byte_timeout) {
    return error("no answer for " + seconds(options_.first_byte_timeout));
  }
  if (!waits && now - last_move_ >= options_.stall_timeout) {
    return error("no byte came or went for " + seconds(options_.stall_timeout));
  }
  return std::nullopt;
}

Result<CURLcode> HttpClient::Transfer::transfer(const std::stop_token& stop) {
  CURLM* multi = handle_.multi.get();
  for (;;) {
    int running = 0;
    if (CURLMcode code = curl_multi_perform(multi, &running); code != CURLM_OK) {
      return say(EIO, curl_multi_strerror(code));
    }
    if (running == 0) break;
    if (stop.stop_requested()) return fail(EINTR);
    const auto now = Monotonic::now();
    if (auto error = late(now)) return fail(*std::move(error));
    // The shorter limits need no exact wait.
    const auto left = std::chrono::ceil<Millis>(began_ + request_.timeout - now);
    const Millis tick = std::clamp(std::min(options_.first_byte_timeout, options_.stall_timeout) / 10,
                                   Millis(10), Millis(1000));
    if (CURLMcode code =
            curl_multi_poll(multi, nullptr, 0, static_cast<int>(std::min(left, tick).count()), nullptr);
        code != CURLM_OK) {
      return say(EIO, curl_multi_strerror(code));
    }
  }
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
    if (message->msg == CURLMSG_DONE) return message->data.result;
  }
  return say(EIO, "no result");
}

std::unexpected<Error> HttpClient::Transfer::failed(CURLcode code) {
  std::string what = why_[0] ? why_.data() : curl_easy_strerror(code);
  long os = 0;
  curl_easy_getinfo(handle_.easy.get(), CURLINFO_OS_ERRNO, &os);
  switch (code) {
    case CURLE_WRITE_ERROR:
      return !sink_status_ ? fail(sink_status_.error()) : say(EIO, what);
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return say(EHOSTUNREACH, what + "; is the endpoint in the bucket's URL right?");
    case CURLE_COULDNT_CONNECT:
      return say(os != 0 ? static_cast<int>(os) : ECONNREFUSED, what);
    case CURLE_OPERATION_TIMEDOUT:
      return say(ETIMEDOUT, what);
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
      return say(ECONNRESET, what);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CONNECT_ERROR:
      return say(EPROTO,
                 what + "; a certificate of your own is trusted with ?ca-certs=FILE in the bucket's URL");
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_URL_MALFORMAT:
      return say(EINVAL, what);
    case CURLE_OUT_OF_MEMORY:
      return say(ENOMEM, what);
    default:
      return say(EIO, what);
  }
}

Result<HttpResponse> HttpClient::Transfer::run(Shared& shared, const std::stop_token& stop) {
  CURLM* multi = handle_.multi.get();
  set_options(shared.share.get());
  if (is_tls(request_) && options_.verify_tls) TRY(set_trusted(*shared.trusted));
  curl_multi_add_handle(multi, handle_.easy.get());
  Result<CURLcode> done = CURLE_OK;
  {
    const std::stop_callback wake(stop, [multi] { curl_multi_wakeup(multi); });
    done = transfer(stop);
  }
  // A request that is not done takes its connection with it.
  curl_multi_remove_handle(multi, handle_.easy.get());
  const CURLcode code = TRY(std::move(done));
  if (code != CURLE_OK) return failed(code);
  return std::move(response_);
}

HttpClient::HttpClient(HttpOptions options)
    : options_(std::move(options)), shared_((init_library(), std::make_unique<Shared>(options_))) {}

HttpClient::~HttpClient() {
  shared_->idle.clear();  // before what they share
}

std::unique_ptr<HttpClient::Handle> HttpClient::take_handle(const HttpRequest& request) {
  std::lock_guard lock(shared_->mutex);
  if (shared_->idle.empty()) return std::make_unique<Handle>(options_.memory, is_tls(request));
  auto handle = std::move(shared_->idle.back());
  shared_->idle.pop_back();
  return handle;
}

void HttpClient::give_back(std::unique_ptr<Handle> handle) {
  std::vector<std::unique_ptr<Handle>> cold;  // closed without the lock
  std::lock_guard lock(shared_->mutex);
  auto& idle = shared_->idle;
  const auto now = Monotonic::now();
  handle->idle_since = now;
  idle.push_back(std::move(handle));
  const auto is_warm = [&](const auto& one) { return now - one->idle_since < options_.idle_time; };
  auto first_warm = std::ranges::find_if(idle, is_warm);
  if (idle.size() > kMaxIdle && first_warm == idle.begin()) ++first_warm;
  cold.assign(std::make_move_iterator(idle.begin()), std::make_move_iterator(first_warm));
  idle.erase(idle.begin(), first_warm);
}

Result<HttpResponse> HttpClient::perform(const HttpRequest& request, const BodySink* sink,
                                         std::stop_token stop, size_t text_limit) {
  if (stop.stop_requested()) return fail(EINTR);
  auto handle = take_handle(request);
  if (!handle->easy || !handle->multi) return fail(ENOMEM, "no memory for a connection");
  auto result = Transfer(options_, *handle, request, sink, text_limit).run(*shared_, stop);
  // The options point into the transfer, which is gone.
  curl_easy_reset(handle->easy.get());
  give_back(std::move(handle));
  return result;
}

}  // namespace cider::object::s3
