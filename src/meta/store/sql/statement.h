// A statement for any SQL engine: its text in the common form that a Dialect makes the engine's own, and the
// values for its `?`, in their order.
//
// The text is a literal, or lives as long as the process: engines find their compiled form by its address.
// Strings are not copied: what the values refer to has to live until the statement has been run.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cider::meta::sql {

struct Text {  // bytes of a column of characters
  std::string_view bytes;
};
// For a column of 32 bits that holds the bits of an unsigned number: those from 2^31 on are stored as
// negative ones where the column's type is signed (all but SQLite's).
struct Narrow {
  uint32_t number = 0;
};
// Bytes made for the statement, which keeps them.
struct Owned {
  std::string bytes;
};

struct Value {
  enum class Kind : uint8_t { integer, narrow, blob, text };
  Kind kind = Kind::integer;
  int64_t number = 0;  // unsigned 64-bit numbers by their bits
  std::string_view bytes;
};

// Which lock a SELECT takes on the rows that it finds, until the transaction's end. SQLite has none: there a
// transaction that writes is alone.
enum class Lock : uint8_t { none, share, update };

struct Statement {
  const char* text = "";
  Lock lock = Lock::none;
  std::vector<Value> values;
  std::unique_ptr<std::string> owned;

  Statement() = default;
  template <class... Args>
  explicit Statement(const char* sql, Args&&... args) : text(sql) {
    values.reserve(sizeof...(args));
    (add(std::forward<Args>(args)), ...);
  }

  template <std::integral T>
  void add(T number) {
    values.push_back({Value::Kind::integer, static_cast<int64_t>(number), {}});
  }
  void add(Narrow value) { values.push_back({Value::Kind::narrow, value.number, {}}); }
  void add(std::string_view blob) { values.push_back({Value::Kind::blob, 0, blob}); }
  void add(Text value) { values.push_back({Value::Kind::text, 0, value.bytes}); }
  void add(Owned value) {  // one of them
    owned = std::make_unique<std::string>(std::move(value.bytes));
    add(std::string_view(*owned));
  }
};

}  // namespace cider::meta::sql
