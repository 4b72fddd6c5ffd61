// Log lines to standard error, a file or syslog. Writing is thread-safe; configure(), reopen() and
// set_level() one at a time. Files are opened for appending, so that they may be truncated (logrotate's
// copytruncate). The library behind it stays out of this header.
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
// Opens the log file by its name again, after it was renamed away.
void reopen();
void set_level(Level level);
bool enabled(Level level);
// Ends with one newline, whatever `line` ends with.
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
