#include "chunk/pending_view.h"

#include <algorithm>

namespace cider::chunk {
namespace {

class Painter {
 public:
  Painter(uint32_t block_size, uint32_t begin, uint32_t end, IntervalMap<Source>& view)
      : block_size_(block_size), begin_(begin), end_(end), view_(view) {}

  void paint(uint32_t from, uint32_t to, const Source& source) {
    uint32_t cut_from = std::max(from, begin_);
    uint32_t cut_to = std::min(to, end_);
    if (cut_from < cut_to) view_.paint(cut_from, cut_to, source.part(cut_from - from, cut_to - cut_from));
  }

  void paint(const PendingSlice& slice) {
    if (slice.pos >= end_ || slice.end() <= begin_) return;
    size_t i = begin_ > slice.pos ? (begin_ - slice.pos) / block_size_ : 0;
    for (; i < slice.blocks.size(); i++) {
      const PendingSlice::Block& block = slice.blocks[i];
      uint32_t at = slice.pos + static_cast<uint32_t>(i) * block_size_;
      if (at >= end_) return;
      if (block.stored) {
        paint(at, at + block.bytes, {{slice.id, slice.len, at - slice.pos}, {}});
        continue;
      }
      for (const Buffer& piece : block.data) {
        auto to = at + static_cast<uint32_t>(piece.size());
        paint(at, to, {{}, piece});
        at = to;
      }
    }
  }

 private:
  const uint32_t block_size_;
  const uint32_t begin_;
  const uint32_t end_;
  IntervalMap<Source>& view_;
};

}  // namespace

void paint_pending(const FileState& file, uint32_t index, uint32_t block_size, uint32_t begin, uint32_t end,
                   IntervalMap<Source>& view) {
  Painter painter(block_size, begin, end, view);
  auto paint_entry = [&](const LogEntry& entry) {
    if (entry.index != index) return;
    for (const auto& slice : entry.slices) painter.paint(*slice);
  };
  for (const LogEntry& entry : file.log) {
    paint_entry(entry);
    for (const LogEntry& withheld : entry.withheld) paint_entry(withheld);
  }
  auto open = file.open.find(index);
  if (open == file.open.end()) return;
  for (const auto& slice : open->second.growing()) painter.paint(*slice);
  open->second.pieces().each(begin, end, [&](uint32_t from, uint32_t to, Piece piece) {
    painter.paint(from, to, {{}, std::move(piece.data)});
  });
}

}  // namespace cider::chunk
