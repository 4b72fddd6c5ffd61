// A visitor for std::visit made of lambdas, one for each kind of a variant.
#pragma once

namespace cider {

template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};

}  // namespace cider
