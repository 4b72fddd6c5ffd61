#include "cli/terminal.h"

#include <gtest/gtest.h>

namespace cider::cli {
namespace {

// As `juicefs info` prints it.
TEST(Terminal, Table) {
  EXPECT_EQ(table({{"chunkIndex", "objectName", "size"}, {"0", "vol1/chunks/0/0/1_0_3", "3"}}, 1),
            "+------------+-----------------------+------+\n"
            "| chunkIndex |       objectName      | size |\n"
            "+------------+-----------------------+------+\n"
            "|          0 | vol1/chunks/0/0/1_0_3 |    3 |\n"
            "+------------+-----------------------+------+\n");
}

}  // namespace
}  // namespace cider::cli
