# cider_precompiled(target KIND): the target's files begin with headers that were compiled once, which halves the time of a build
# for tests. KIND is library or test; the flags of both differ. Without CIDER_PCH, as in users' builds, each file has to include
# what it uses.
option(CIDER_PCH "Compile common headers once" OFF)

set(CIDER_COMMON_HEADERS <algorithm> <array> <atomic> <chrono> <condition_variable> <cstdint> <cstring> <deque> <expected>
  <filesystem> <functional> <map> <memory> <mutex> <optional> <set> <span> <stop_token> <string> <string_view> <thread>
  <unordered_map> <utility> <variant> <vector>)

function(cider_precompiled target kind)
  if(NOT CIDER_PCH)
    return()
  endif()
  if(NOT TARGET cider_precompiled_${kind})
    set(source ${PROJECT_BINARY_DIR}/precompiled.cc)
    file(CONFIGURE OUTPUT ${source} CONTENT "")
    add_library(cider_precompiled_${kind} OBJECT ${source})
    if(kind STREQUAL test)
      target_link_libraries(cider_precompiled_test PRIVATE GTest::gtest)
      target_compile_options(cider_precompiled_test PRIVATE ${CIDER_TEST_OPTIONS})
      set(more <gtest/gtest.h>)
    endif()
    target_precompile_headers(cider_precompiled_${kind} PRIVATE ${CIDER_COMMON_HEADERS} ${more})
  endif()
  target_precompile_headers(${target} REUSE_FROM cider_precompiled_${kind})
endfunction()
