// What must hold of every volume at every instant, whatever its clients did, died of or raced for. For tests
// only.
#pragma once

#include <string>
#include <vector>

#include "meta/testing/volume_dump.h"

namespace cider::meta::testing {

// What is wrong, a line each; empty: nothing. Checks that
// - each entry has its inode, of its type, and each directory exactly one entry; no directory is its own
// ancestor;
// - nlink equals the entries of an inode (directories: 2 and their subdirectories), parent and parent map
// tell them right;
// - an inode without entries is kept by a session, and only such a one;
// - used space and inodes, and the statistics of each directory that has some, equal a recount;
// - the references of each slice equal the records that name it; no record names a slice without a reference;
// - nothing belongs to an inode that is gone, but chunks of files that wait for deletion.
std::vector<std::string> inconsistencies(const VolumeDump& volume);

}  // namespace cider::meta::testing
