#include "chunk/cache/dir_ring.h"

#include <gtest/gtest.h>

namespace cider::chunk {
namespace {

// Of twelve keys. The expected places are those of JuiceFS 1.4.1's ring over the same ids.
std::string places(const DirRing& ring) {
  std::string out;
  for (int i = 0; i < 12; i++) {
    const int id = i * 777;
    std::string key = "chunks/0/" + std::to_string(id / 1000) + "/" + std::to_string(id) + "_" +
                      std::to_string(i) + "_4194304";
    out += std::to_string(ring.at(key));
  }
  return out;
}

const std::string kFirst = "5b2d4c8e-0b7f-4c7a-9a39-0d6f3f6f8a01";
const std::string kSecond = "0f8fad5b-d9cb-469f-a165-70867728950e";
const std::string kThird = "7c9e6679-7425-40de-944b-e07fc1f90ae7";

TEST(DirRing, HashIsMurmur3) {
  EXPECT_EQ(murmur3(""), 0u);
  EXPECT_EQ(murmur3("a"), 1009084850u);
  EXPECT_EQ(murmur3("chunks/0/0/1_0_15"), 324848863u);
}

TEST(DirRing, PlacesAreJuiceFSs) {
  EXPECT_EQ(places(DirRing({kFirst, kSecond, kThird})), "121201022121");
  // Without the second directory.
  EXPECT_EQ(places(DirRing({kFirst, kThird})), "010100011111");
  EXPECT_EQ(places(DirRing({kFirst})), "000000000000");
}

}  // namespace
}  // namespace cider::chunk
