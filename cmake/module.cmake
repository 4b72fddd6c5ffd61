# cider_module(name [DEPENDS module...] [LINK library...] [TOGETHER pattern])
#
# One folder below src/ is one static library. Every .cc in it (and below it) belongs to it, except X_test.cc, which
# go into the test program of the module, X_fuzz.cc, each a fuzz target of its own, and main.cc, a program's. What stands in a
# folder testing/ is a library for tests alone, cider_<name>_testing. Each test runs in a process of its own, but for those that
# TOGETHER names (a GoogleTest filter), whose preparations are dear: they are one test of ctest.
function(cider_module name)
  cmake_parse_arguments(ARG "" "TOGETHER" "DEPENDS;LINK" ${ARGN})
  file(GLOB_RECURSE all CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cc)
  set(helpers ${all})
  list(FILTER helpers INCLUDE REGEX "/testing/[^/]*\\.cc$")
  list(FILTER all EXCLUDE REGEX "/testing/[^/]*\\.cc$")
  set(sources ${all})
  list(FILTER sources EXCLUDE REGEX "(_(test|fuzz)|/main)\\.cc$")
  set(tests ${all})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  set(fuzzers ${all})
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cc$")

  list(TRANSFORM ARG_DEPENDS PREPEND cider_)
  if(NOT sources)  # headers alone
    add_library(cider_${name} INTERFACE)
    target_include_directories(cider_${name} INTERFACE ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(cider_${name} INTERFACE ${ARG_DEPENDS})
    return()
  endif()
  add_library(cider_${name} STATIC ${sources})
  target_include_directories(cider_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(cider_${name} PUBLIC ${ARG_DEPENDS} PRIVATE ${ARG_LINK} Threads::Threads)

  if(CIDER_TESTS AND helpers)
    add_library(cider_${name}_testing STATIC ${helpers})
    target_link_libraries(cider_${name}_testing PUBLIC cider_${name} PRIVATE ${ARG_LINK})
    target_compile_definitions(cider_${name}_testing PRIVATE CIDER_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  endif()
  if(CIDER_TESTS AND tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE cider_${name} ${ARG_LINK} GTest::gtest_main)
    if(helpers)
      target_link_libraries(${name}_test PRIVATE cider_${name}_testing)
    endif()
    target_compile_definitions(${name}_test PRIVATE CIDER_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    if(CIDER_SANITIZE)  # most of such a build's time went into optimising the tests
      target_compile_options(${name}_test PRIVATE -O0)
    endif()
    if(ARG_TOGETHER)
      set(alone TEST_FILTER "-${ARG_TOGETHER}")
      add_test(NAME ${name}_together COMMAND ${name}_test --gtest_filter=${ARG_TOGETHER})
    endif()
    gtest_discover_tests(${name}_test ${alone} DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 600)
  endif()
  if(CIDER_FUZZ)
    foreach(source ${fuzzers})
      get_filename_component(target ${source} NAME_WE)
      add_executable(${target} ${source})
      target_compile_options(${target} PRIVATE -fsanitize=fuzzer)
      target_link_options(${target} PRIVATE -fsanitize=fuzzer)
      target_link_libraries(${target} PRIVATE cider_${name} ${ARG_LINK})
    endforeach()
  endif()
endfunction()

# cider_protocol(name file.proto): the static library cider_<name>_protocol with what protoc makes of the file: messages and the
# stubs of its gRPC services, included as "file.pb.h" and "file.grpc.pb.h".
function(cider_protocol name proto)
  get_filename_component(folder ${CMAKE_CURRENT_SOURCE_DIR}/${proto} DIRECTORY)
  get_filename_component(file ${proto} NAME_WE)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/protocol)
  set(made ${out}/${file}.pb.cc ${out}/${file}.pb.h ${out}/${file}.grpc.pb.cc ${out}/${file}.grpc.pb.h)
  file(MAKE_DIRECTORY ${out})
  add_custom_command(OUTPUT ${made}
    COMMAND ${PROTOC} -I ${folder} --cpp_out=${out} --grpc_out=${out} --plugin=protoc-gen-grpc=${GRPC_CPP_PLUGIN}
      ${CMAKE_CURRENT_SOURCE_DIR}/${proto}
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${proto} VERBATIM)
  add_library(cider_${name}_protocol STATIC ${made})
  target_compile_options(cider_${name}_protocol PRIVATE -w)
  target_include_directories(cider_${name}_protocol SYSTEM PUBLIC ${out})
  target_link_libraries(cider_${name}_protocol PUBLIC PkgConfig::GRPC)
endfunction()
