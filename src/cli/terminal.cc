#include "cli/terminal.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>

namespace cider::cli {
namespace {

std::string centred(const std::string& text, size_t width) {
  size_t room = width - text.size();
  return std::string((room + 1) / 2, ' ') + text + std::string(room / 2, ' ');
}

}  // namespace

void print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void print_line(std::string_view line) {
  print(std::string(line) + "\n");
}

void warn(std::string_view line) {
  std::fprintf(stderr, "WARNING: %.*s\n", static_cast<int>(line.size()), line.data());
}

bool confirm(std::string_view question) {
  std::fprintf(stderr, "%.*s [y/N]: ", static_cast<int>(question.size()), question.data());
  std::string answer;
  if (!std::getline(std::cin, answer)) return false;
  return answer == "y" || answer == "Y" || answer == "yes" || answer == "YES";
}

std::string table(const std::vector<std::vector<std::string>>& rows, int left_column) {
  std::vector<size_t> widths(rows.front().size());
  for (const auto& row : rows) {
    for (size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string divider;
  for (size_t width : widths) divider += "+" + std::string(width + 2, '-');
  divider += "+\n";

  std::string out = divider;
  for (size_t r = 0; r < rows.size(); ++r) {
    for (size_t i = 0; i < widths.size(); ++i) {
      const std::string& cell = rows[r][i];
      std::string space(widths[i] - cell.size(), ' ');
      bool left = static_cast<int>(i) == left_column;
      out += "| " + (r == 0 ? centred(cell, widths[i]) : left ? cell + space : space + cell) + " ";
    }
    out += "|\n";
    if (r == 0) out += divider;
  }
  return out + divider;
}

ProgressLine::ProgressLine(std::string label)
    : label_(std::move(label)), visible_(::isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() {
  if (drawn_) std::fputc('\n', stderr);
}

void ProgressLine::update(unsigned long long count) {
  if (!visible_) return;
  std::fprintf(stderr, "\r%s: %llu", label_.c_str(), count);
  drawn_ = true;
}

}  // namespace cider::cli
