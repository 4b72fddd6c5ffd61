// Statements on a connection, one by one: for what is asked or changed rarely. One thread at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "meta/store/sql/dialect.h"
#include "meta/store/sql/statement.h"

namespace cider::meta::sql {

// The rows that a statement answered.
class Rows {
 public:
  virtual ~Rows() = default;
  virtual Result<bool> next() = 0;                       // to the first, or next, row; false: no more
  virtual int64_t integer(int column) const = 0;         // 0 for NULL
  virtual std::string_view bytes(int column) const = 0;  // NULs included; valid until next()
  virtual bool is_null(int column) const = 0;
};

// EEXIST where a unique key is taken; other errors as the engine's connection tells.
class Session {
 public:
  virtual ~Session() = default;
  virtual const Dialect& dialect() const = 0;
  virtual Result<std::unique_ptr<Rows>> ask(const Statement& statement) = 0;
  virtual Result<int64_t> change(const Statement& statement) = 0;  // the number of rows changed
  virtual Status script(const std::string& sql) = 0;               // in the engine's own language

  template <class... Args>
  Result<std::unique_ptr<Rows>> query(const char* text, Args&&... args) {
    return ask(Statement(text, std::forward<Args>(args)...));
  }
  template <class... Args>
  Result<int64_t> execute(const char* text, Args&&... args) {
    return change(Statement(text, std::forward<Args>(args)...));
  }
};

}  // namespace cider::meta::sql
