// Errors are values: an operation answers Result<T>, which holds a T or an Error that carries an errno.
// No exception crosses a module. A Result that is dropped is a compile error.
#pragma once

#include <cerrno>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace cider {

// `code` is an errno (positive). `message` is for people: what was wrong, with which value; empty where the
// errno says it all.
struct Error {
  int code = EIO;
  std::string message;

  // "no such file (path /x)" or, without a message, strerror(code).
  std::string to_string() const;
};

template <class T>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
};

using Status = Result<void>;

inline std::unexpected<Error> fail(int code) {
  return std::unexpected<Error>(Error{code, {}});
}
inline std::unexpected<Error> fail(int code, std::string message) {
  return std::unexpected<Error>(Error{code, std::move(message)});
}
inline std::unexpected<Error> fail(Error error) {
  return std::unexpected<Error>(std::move(error));
}

// The present errno with "what: strerror".
std::unexpected<Error> fail_errno(std::string_view what);

// 0 on success, else the errno.
template <class T>
int code_of(const Result<T>& result) {
  return result ? 0 : result.error().code;
}

}  // namespace cider

// Evaluates to the value of a Result, or returns its error from the enclosing function. The counter keeps
// nested uses apart.
#define TRY(expression) CIDER_TRY_NAMED(CIDER_JOIN(try_result_, __COUNTER__), expression)
#define CIDER_JOIN(a, b) CIDER_JOIN_AGAIN(a, b)
#define CIDER_JOIN_AGAIN(a, b) a##b
#define CIDER_TRY_NAMED(name, expression)                     \
  ({                                                          \
    auto name = (expression);                                 \
    if (!name) return ::cider::fail(std::move(name).error()); \
    ::cider::detail::take(std::move(name));                   \
  })

namespace cider::detail {
template <class T>
T take(Result<T>&& result) {
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}
}  // namespace cider::detail
