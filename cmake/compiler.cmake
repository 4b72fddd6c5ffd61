# Flags that hold for every target.
add_compile_options(-Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wno-missing-field-initializers -Wno-restrict
                    -Werror=unused-result -Werror=return-type)
add_compile_definitions(_FILE_OFFSET_BITS=64 _GNU_SOURCE)

if(CIDER_SANITIZE)
  add_compile_options(-fsanitize=${CIDER_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${CIDER_SANITIZE})
  if(CIDER_SANITIZE MATCHES undefined)  # these find little that ASan does not, and are a third of the build's time
    add_compile_options(-fno-sanitize=null,alignment,object-size,vptr)
  endif()
endif()

find_program(CIDER_CCACHE ccache)
if(CIDER_CCACHE)
  # It keeps what was compiled with precompiled headers only where the times and macros in them don't count.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CIDER_CCACHE})
endif()
find_program(CIDER_MOLD mold)
if(CIDER_MOLD)
  add_link_options(-fuse-ld=mold)
endif()
