# cmake --install: the program, the helper that mount(8) looks for, and the documents.
include(GNUInstallDirs)

install(TARGETS ciderfs RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
# Debug information is 95 % of the program and stays in the build directory; names of functions for backtraces stay in.
install(CODE "
  execute_process(COMMAND \"${CMAKE_STRIP}\" --strip-debug \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/ciderfs\"
                  COMMAND_ERROR_IS_FATAL ANY)
")

# mount(8) runs mount.ciderfs from /sbin or /usr/sbin for lines of type ciderfs in /etc/fstab: the same program by another name.
install(CODE "
  set(sbin \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_SBINDIR}\")
  file(MAKE_DIRECTORY \"\${sbin}\")
  file(CREATE_LINK ../${CMAKE_INSTALL_BINDIR}/ciderfs \"\${sbin}/mount.ciderfs\" SYMBOLIC)
")

install(FILES README.md ARCHITECTURE.md CONTRIBUTING.md LICENSE docs/cli.md docs/object-stores.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
