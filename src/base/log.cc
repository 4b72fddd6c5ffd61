#include "base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/sinks/syslog_sink.h>
#include <spdlog/spdlog.h>

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
    // A log that cannot be opened must not keep a volume from being mounted; standard error takes its place.
  }
  if (sinks.empty()) sinks.push_back(std::make_shared<spdlog::sinks::stderr_sink_mt>());
  if (options.syslog) {
    sinks.push_back(std::make_shared<spdlog::sinks::syslog_sink_mt>("ciderfs", LOG_PID, LOG_USER, false));
  }
  auto logger = std::make_shared<spdlog::logger>("ciderfs", sinks.begin(), sinks.end());
  logger->set_pattern("%Y/%m/%d %H:%M:%S.%f %n[%P] <%l>: %v");
  logger->set_level(to_spdlog(options.level));
  logger->flush_on(spdlog::level::info);
  return logger;
}

std::shared_ptr<spdlog::logger>& current() {
  static std::shared_ptr<spdlog::logger> logger = make_logger({});
  return logger;
}

}  // namespace

void configure(const Options& options) {
  current() = make_logger(options);
}
void set_level(Level level) {
  current()->set_level(to_spdlog(level));
}
bool enabled(Level level) {
  return current()->should_log(to_spdlog(level));
}
void write(Level level, std::string_view line) {
  current()->log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace cider::log
