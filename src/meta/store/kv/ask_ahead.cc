#include "meta/store/kv/ask_ahead.h"

#include <string>
#include <utility>
#include <vector>

namespace cider::meta::kv {
namespace {

// What is read first, and what is changed without having been read.
constexpr int kQuestions = 2;

// Answers what the workspace knows. Other keys are noted; ranges are not asked for together.
class AheadView final : public View {
 public:
  AheadView(View& view, const Workspace& space) : view_(view), space_(space) {}

  Result<std::vector<Value>> get(std::span<const std::string> keys) override {
    std::vector<Value> values;
    for (const std::string& key : keys) {
      const Value* known = space_.known(key);
      if (known) values.push_back(*known);
      if (!known) asked_.push_back(key);
    }
    if (values.size() < keys.size()) return fail(EAGAIN);
    return values;
  }
  Result<std::vector<Pair>> scan(const Range&, size_t, bool) override { return fail(EAGAIN); }
  void want_present(const std::string& key) override { view_.want_present(key); }
  void expect_absent(const std::string& key) override { view_.expect_absent(key); }
  std::optional<Value> guess(const std::string& key) override { return view_.guess(key); }

  std::vector<std::string> take_asked() { return std::exchange(asked_, {}); }

 private:
  View& view_;
  const Workspace& space_;
  std::vector<std::string> asked_;
};

}  // namespace

Status ask_ahead(std::span<const FunctionRef<Status(Workspace&)>> operations, View& view, Workspace* space) {
  AheadView ahead(view, *space);
  for (int i = 0; i < kQuestions; ++i) {
    for (const auto& operation : operations) {
      Workspace trial(ahead, false, true);
      (void)operation(trial);
    }
    std::vector<std::string> asked = ahead.take_asked();
    if (asked.empty()) return {};
    TRY(space->load(std::move(asked)));
  }
  return {};
}

}  // namespace cider::meta::kv
