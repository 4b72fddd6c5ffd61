#include "chunk/cache_fill.h"

namespace cider::chunk {

void CacheFill::each(uint64_t slice, uint32_t size,
                     const std::function<void(const BlockName&)>& visit) const {
  for (uint32_t index = 0; uint32_t length = block_length(blocks_.layout(), size, index); index++)
    visit({slice, index, length});
}

Status CacheFill::fill(uint64_t slice, uint32_t size, std::stop_token stop) {
  // Filling gives way to readers and writers.
  constexpr double kShare = 0.5;
  Status first;
  each(slice, size, [&](const BlockName& block) {
    if (stop.stop_requested() || cache_.contains(block)) return;
    const auto fill_block = [&]() -> Status {
      TRY(budget_.wait_for_room(block.bytes, kShare, stop));
      Buffer data = Buffer::allocate(block.bytes, &budget_);
      TRY(blocks_.read(slice, size, block.index * blocks_.layout().block_size,
                       {data.mutable_data(), data.size()}, stop));
      cache_.put(block, {data});
      return {};
    };
    if (Status filled = fill_block(); !filled && first) first = filled;
  });
  if (first && stop.stop_requested()) return fail(EINTR);
  return first;
}

void CacheFill::evict(uint64_t slice, uint32_t size) {
  each(slice, size, [&](const BlockName& block) { cache_.remove(block); });
}

void CacheFill::check(uint64_t slice, uint32_t size,
                      const std::function<void(const std::string& where, uint32_t bytes)>& found) {
  each(slice, size, [&](const BlockName& block) { found(cache_.where(block), block.bytes); });
}

}  // namespace cider::chunk
