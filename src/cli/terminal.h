// What commands print and ask.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace cider::cli {

// Text to standard output.
void print(std::string_view text);
// One line to standard output.
void print_line(std::string_view line);
// "WARNING: ..." to standard error.
void warn(std::string_view line);

// Asks on the terminal; false unless the answer is y or yes.
bool confirm(std::string_view question);

// A table with a frame, as `juicefs info` prints it: the first row is the header, centred; columns are set
// right, but the one at `left_column` (-1: none) left.
std::string table(const std::vector<std::vector<std::string>>& rows, int left_column = -1);

// A counter that grows on one line of a terminal; silent elsewhere.
class ProgressLine {
 public:
  explicit ProgressLine(std::string label);
  ~ProgressLine();  // ends the line
  void update(unsigned long long count);

 private:
  const std::string label_;
  const bool visible_;
  bool drawn_ = false;
};

}  // namespace cider::cli
