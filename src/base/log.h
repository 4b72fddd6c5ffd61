// Log lines to standard error, a file or syslog. Thread-safe. The library behind it stays out of this header.
#pragma once

#include <string>
#include <string_view>

namespace cider::log {

enum class Level { trace, debug, info, warning, error };

struct Options {
  Level level = Level::info;
  std::string file;     // empty: standard error
  bool syslog = false;  // in addition
};

void configure(const Options& options);
void set_level(Level level);
bool enabled(Level level);
void write(Level level, std::string_view line);

inline void debug(std::string_view line) {
  write(Level::debug, line);
}
inline void info(std::string_view line) {
  write(Level::info, line);
}
inline void warning(std::string_view line) {
  write(Level::warning, line);
}
inline void error(std::string_view line) {
  write(Level::error, line);
}

}  // namespace cider::log
