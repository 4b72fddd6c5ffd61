// Some seeds of the random tests; tests/model/meta_stress.cc runs any number of them.
#include <gtest/gtest.h>

#include "meta/testing/random_ops.h"

namespace cider::meta::testing {
namespace {

class ModelTest : public ::testing::TestWithParam<Engine> {};

TEST_P(ModelTest, AnswersAsTheModelDoes) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    auto failure =
        compare_with_model({.engine = GetParam(), .seed = seed, .operations = 400, .trash = seed % 2 == 0});
    ASSERT_FALSE(failure) << *failure;
  }
}

TEST_P(ModelTest, RacesLeaveAConsistentVolume) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    auto failure = race({.engine = GetParam(), .seed = seed, .operations = 300, .trash = seed == 2}, 4);
    ASSERT_FALSE(failure) << *failure;
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, ModelTest, ::testing::ValuesIn(local_engines()),
                         [](const auto& test) { return engine_name(test.param); });

}  // namespace
}  // namespace cider::meta::testing
