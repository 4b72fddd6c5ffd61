// The stores that the conformance suite (conformance_test.cc) runs over. For tests only.
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "object/object_store.h"

namespace cider::object::testing {

struct StoreUnderTest {
  std::string name;  // letters, digits and _: a part of the tests' names
  // A store of its own, still without its bucket; `dir` is an empty folder that outlives it. ENODEV where the
  // server that it needs is not installed, with the words for people.
  std::function<Result<std::unique_ptr<ObjectStore>>(const std::string& dir)> open;
  // SeaweedFS lists a folder "a" with all below it before the object "a-b": such listings are EIO.
  bool lists_any_names_in_order = true;
  // Apache removes what is there before it moves an object into its place.
  bool replaces_at_once = true;
};

inline void PrintTo(const StoreUnderTest& store, std::ostream* out) {
  *out << store.name;
}

// A new store is one more line of the table in stores.cc.
const std::vector<StoreUnderTest>& stores_under_test();

// The pieces as data to put.
BufferChain chain(std::initializer_list<std::string_view> pieces);

std::vector<std::string> keys_of(const std::vector<ObjectInfo>& infos);

}  // namespace cider::object::testing
