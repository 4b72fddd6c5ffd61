#include "base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>
#include <vector>

namespace cider::log {
namespace {

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::trace:
      return spdlog::level::trace;
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warning:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

std::shared_ptr<spdlog::logger> make_logger(const Options& options) {
  std::vector<spdlog::sink_ptr> sinks;
  try {
    if (!options.file.empty())
      sinks.push_back(std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file));
  } catch (const spdlog::spdlog_ex&) {
    sinks.clear();  // a log that cannot be opened must not keep a volume from being mounted
  }
  if (sinks.empty()) sinks.push_back(std::make_shared<spdlog::sinks::stderr_sink_mt>());
  if (options.syslog) {
    sinks.push_back(std::make_shared<spdlog::sinks::syslog_sink_mt>("ciderfs", LOG_PID, LOG_USER, false));
  }
  auto logger = std::make_shared<spdlog::logger>("ciderfs", sinks.begin(), sinks.end());
  logger->set_pattern("%Y/%m/%d %H:%M:%S.%f %n[%P] <%l>: %v");
  logger->set_level(to_spdlog(options.level));
  logger->flush_on(to_spdlog(options.level));  // every line whole, for whoever follows or copies the file
  return logger;
}

// Lines are written while the log is reopened.
std::atomic<std::shared_ptr<spdlog::logger>>& current() {
  static std::atomic<std::shared_ptr<spdlog::logger>> logger = make_logger({});
  return logger;
}

Options& configured() {
  static Options options;
  return options;
}

}  // namespace

void configure(const Options& options) {
  configured() = options;
  current() = make_logger(options);
}
void reopen() {
  current() = make_logger(configured());
}
void set_level(Level level) {
  configured().level = level;
  current().load()->set_level(to_spdlog(level));
}
bool enabled(Level level) {
  return current().load()->should_log(to_spdlog(level));
}
void write(Level level, std::string_view line) {
  while (line.ends_with('\n')) line.remove_suffix(1);
  current().load()->log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace cider::log
