// What the SQL of the engines has not in common.
//
// Statements are written once, in a common form, which is SQLite's with `?` for values, `name` for a column
// whose name is a keyword, tables with the prefixes jfs_ and cider_, and these terms in braces:
//
//   {lock}               at the end of a SELECT: FOR UPDATE or FOR SHARE, if the statement is to lock
//   {begin snapshot}     of a server: a transaction for reading at one instant; perhaps several statements
//   {on conflict a,b}    in an INSERT, before assignments: if a row has this key already, they change it
//   {on conflict}        in an INSERT: if the key is taken, nothing is done
//   {new x}              in such assignments: the value that was to be inserted into column x
//   {append x ?}         the bytes of column x, and behind them those of a value; {append t.x new}: those of
//   {new x} {replaced x ? ?}     the bytes of a value, and behind them those of column x from a position
//   (from 1) on {first x ?}          so many bytes of column x {size x}             the number of its bytes
//   {returning a,b}      what an INSERT or UPDATE answers; nothing where the engine cannot (can_return())
#pragma once

#include <string>
#include <string_view>

#include "meta/store/sql/statement.h"

namespace cider::meta::sql {

class Dialect {
 public:
  enum class Kind { sqlite, postgres, mysql };
  // `volume`: JuiceFS's option table_prefix, by which volumes share a database: the tables are named
  // jfs_VOLUME_..., ours cider_VOLUME_....
  explicit Dialect(Kind kind, const std::string& volume = {});
  // Of the kind mysql, with what TiDB lacks: shared locks, for which it takes exclusive ones, and
  // transactions that say they only read. To be called before anything is rendered.
  void speak_tidb() { tidb_ = true; }
  // Of the kind mysql, with keys of 767 bytes at most, as before MySQL 5.7: too few for 255 characters of
  // utf8mb4.
  void have_short_keys() { short_keys_ = true; }

  Kind kind() const { return kind_; }
  const std::string& prefix() const { return prefix_; }
  // The engine's text for one in common form.
  std::string render(std::string_view text, Lock lock = Lock::none) const;
  std::string quoted(std::string_view name) const;

  // Whether a statement's text is parsed each time, so that one for many rows is worth while.
  bool parses_every_time() const { return kind_ == Kind::mysql; }
  bool has_short_keys() const { return short_keys_; }
  bool can_return() const { return kind_ != Kind::mysql; }
  // Whether the assignments of an UPDATE see those on their left.
  bool assigns_in_sequence() const { return kind_ == Kind::mysql; }

 private:
  std::string expanded(std::string_view text, Lock lock) const;
  std::string term(std::string_view text, Lock lock) const;

  const Kind kind_;
  bool tidb_ = false;
  bool short_keys_ = false;
  const std::string prefix_;
  const std::string own_prefix_;
};

}  // namespace cider::meta::sql
