// Tests of the cache and of staging run over both forms of files.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "chunk/cache/cache_dir.h"

namespace cider::chunk::testing {

inline const auto kForms = ::testing::Values(BlockForm::plain, BlockForm::sealed);

inline std::string form_name(const ::testing::TestParamInfo<BlockForm>& info) {
  return info.param == BlockForm::plain ? "plain" : "sealed";
}

// The same for all that is opened in a test.
inline std::shared_ptr<const AeadKey> test_key() {
  auto key = std::make_shared<AeadKey>();
  for (size_t i = 0; i < kAeadKey; i++) key->bytes()[i] = static_cast<std::byte>(i);
  return key;
}

}  // namespace cider::chunk::testing
