#include "meta/store/sql/dialect.h"

#include <cctype>
#include <stdexcept>

namespace cider::meta::sql {
namespace {

constexpr std::string_view kPrefix = "jfs_";
constexpr std::string_view kOwnPrefix = "cider_";

bool in_name(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// "a b" -> "a", "b"
std::pair<std::string, std::string> two(std::string_view text) {
  size_t space = text.find(' ');
  if (space == text.npos) return {std::string(text), {}};
  return {std::string(text.substr(0, space)), std::string(text.substr(space + 1))};
}

// The brace that ends the term beginning at `at`; there may be terms within.
size_t end_of_term(std::string_view text, size_t at) {
  int depth = 0;
  for (size_t i = at; i < text.size(); ++i) {
    if (text[i] == '{') ++depth;
    if (text[i] == '}' && --depth == 0) return i;
  }
  throw std::logic_error("a term without end: " + std::string(text));
}

}  // namespace

Dialect::Dialect(Kind kind, const std::string& volume)
    : kind_(kind),
      prefix_(std::string(kPrefix) + (volume.empty() ? "" : volume + "_")),
      own_prefix_(std::string(kOwnPrefix) + (volume.empty() ? "" : volume + "_")) {}

std::string Dialect::quoted(std::string_view name) const {
  const char quote = kind_ == Kind::postgres ? '"' : '`';
  return quote + std::string(name) + quote;
}

// Terms replaced by what they stand for.
std::string Dialect::expanded(std::string_view text, Lock lock) const {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '{') {
      out += text[i];
      continue;
    }
    const size_t end = end_of_term(text, i);
    out += term(text.substr(i + 1, end - i - 1), lock);
    i = end;
  }
  return out;
}

std::string Dialect::render(std::string_view text, Lock lock) const {
  const std::string plain = expanded(text, lock);
  const auto begins = [&](std::string_view name, size_t i) {
    return std::string_view(plain).substr(i).starts_with(name) && (i == 0 || !in_name(plain[i - 1]));
  };
  std::string out;
  int values = 0;
  for (size_t i = 0; i < plain.size(); ++i) {
    if (plain[i] == '?' && kind_ == Kind::postgres) {
      out += "$" + std::to_string(++values);
    } else if (plain[i] == '`' && kind_ == Kind::postgres) {
      out += '"';
    } else if (begins(kPrefix, i)) {
      out += prefix_;
      i += kPrefix.size() - 1;
    } else if (begins(kOwnPrefix, i)) {
      out += own_prefix_;
      i += kOwnPrefix.size() - 1;
    } else {
      out += plain[i];
    }
  }
  return out;
}

std::string Dialect::term(std::string_view text, Lock lock) const {
  const bool mysql = kind_ == Kind::mysql;
  const auto [word, rest] = two(text);
  if (word == "lock") {
    if (lock == Lock::none || kind_ == Kind::sqlite) return {};
    if (lock == Lock::update || tidb_) return " FOR UPDATE";
    return mysql ? " LOCK IN SHARE MODE" : " FOR SHARE";
  }
  if (text == "begin snapshot") {
    if (!mysql) return "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    const std::string begin =
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;START TRANSACTION WITH CONSISTENT SNAPSHOT";
    return tidb_ ? begin : begin + ", READ ONLY";
  }
  if (text == "on conflict") return mysql ? "ON DUPLICATE KEY UPDATE id=id" : "ON CONFLICT DO NOTHING";
  if (text.starts_with("on conflict ")) {
    if (mysql) return "ON DUPLICATE KEY UPDATE ";
    return "ON CONFLICT (" + std::string(text.substr(12)) + ") DO UPDATE SET ";
  }
  if (word == "new") return mysql ? "VALUES(" + rest + ")" : "excluded." + rest;
  if (word == "returning") return can_return() ? "RETURNING " + expanded(rest, lock) : std::string();
  // JuiceFS leaves TEXT where it appended on SQLite; `||` gives TEXT again, so both sides are cast.
  const bool sqlite = kind_ == Kind::sqlite;
  const auto bytes = [&](const std::string& column) {
    return sqlite ? "CAST(" + column + " AS BLOB)" : column;
  };
  const auto [column, value] = two(rest);
  const std::string place = kind_ == Kind::postgres ? "?::integer" : "?";
  const auto joined = [&](const std::string& left, const std::string& right) {
    if (mysql) return "CONCAT(" + left + "," + right + ")";
    return sqlite ? "CAST(" + left + "||" + right + " AS BLOB)" : left + "||" + right;
  };
  if (word == "append") {
    const std::string name = column.substr(column.find('.') + 1);
    return joined(bytes(column), value == "new" ? term("new " + name, lock) : value);
  }
  if (word == "replaced") return joined("?", "substr(" + bytes(column) + "," + place + ")");
  if (word == "first") return "substr(" + bytes(column) + ",1," + place + ")";
  if (word == "size") return (kind_ == Kind::postgres ? "octet_length(" : "length(") + bytes(column) + ")";
  throw std::logic_error("an unknown term: " + std::string(text));
}

}  // namespace cider::meta::sql
