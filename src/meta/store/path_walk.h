// A path by lookups, for engines that ask their entries one by one.
#pragma once

#include <string>
#include <utility>

#include "base/function_ref.h"
#include "base/result.h"
#include "meta/store/reads.h"

namespace cider::meta {

// Fills `path->found` as far as the entries and their inodes are there.
inline Status walk_path(PathRead* path, FunctionRef<Status(LookupRead*)> look_up) {
  path->found.clear();
  Ino dir = path->root;
  for (const std::string& name : path->names) {
    LookupRead step{dir, name};
    TRY(look_up(&step));
    if (!step.value) break;
    dir = step.value->ino;
    path->found.push_back(std::move(step));
    if (!path->found.back().attr) break;
  }
  return {};
}

}  // namespace cider::meta
