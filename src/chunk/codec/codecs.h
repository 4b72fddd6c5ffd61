// The codecs; not for other modules.
#pragma once

#include "chunk/codec.h"

namespace cider::chunk {

const Codec& lz4_codec();
const Codec& zstd_codec();

}  // namespace cider::chunk
