#include "chunk/cache/open_files.h"

#include <gtest/gtest.h>

#include "chunk/testing/harness.h"
#include "chunk/testing/temp_dir.h"

namespace cider::chunk {
namespace {

constexpr BlockName kBlock{1, 0, 1000};

TEST(OpenFiles, AFileThatWasDroppedWhileItWasOpenedIsNotKept) {
  testing::TempDir dir;
  const std::string path = dir.path() / "block";
  ASSERT_TRUE(write_block_file(path.c_str(), {Buffer::allocate(1000, nullptr)}, {}));
  OpenFiles files;
  for (const bool dropped : {true, false}) {
    uint64_t drops;
    ASSERT_FALSE(files.find(kBlock, &drops));
    Result<BlockFile> file = BlockFile::open(path.c_str(), 1000);
    ASSERT_TRUE(file);
    if (dropped) files.drop(kBlock);
    EXPECT_TRUE(files.add(kBlock, std::move(*file), drops)) << "it can be read all the same";
    EXPECT_EQ(static_cast<bool>(files.find(kBlock, &drops)), !dropped);
  }
}

}  // namespace
}  // namespace cider::chunk
