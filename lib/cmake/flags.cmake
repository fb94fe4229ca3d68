# Compiler flags, in one place; part of both images.
include_guard(GLOBAL) # the superbuild includes it first, and its folders inherit
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
add_compile_definitions(_GNU_SOURCE)
add_compile_options(
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
  -Werror -fno-omit-frame-pointer -fstack-protector-strong -fno-strict-aliasing)
# What a library calls deprecated depends on the machine, and changes with its security updates.
add_compile_options(-Wno-error=deprecated-declarations)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  # Messages are cut to their buffers on purpose, everywhere.
  add_compile_options(-Wno-format-truncation)
endif()
# -O2 like the distributions; fortify needs optimisation and does not go with the sanitizers.
# Ubuntu's gcc defines its own level, hence -U.
set(CMAKE_C_FLAGS_RELEASE "-O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g -U_FORTIFY_SOURCE")
if(DIC_SANITIZE)
  add_compile_options(-fsanitize=${DIC_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${DIC_SANITIZE})
  add_compile_definitions(DIC_SANITIZED=1)
endif()
if(DIC_COVERAGE)
  add_compile_options(--coverage -fprofile-update=atomic) # threads count the same lines
  add_link_options(--coverage)
endif()
# Paths of the machine that builds must not reach the binaries: same source, same files. Of maps that
# fit the last one counts: the build folder is often in the tree.
get_filename_component(DIC_TREE "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)
add_compile_options(-ffile-prefix-map=${DIC_TREE}=. -ffile-prefix-map=${CMAKE_BINARY_DIR}=./build)
# Addresses of functions cannot be overwritten once the program is loaded.
add_link_options(-Wl,-z,relro,-z,now)
# What --version, /version and the logs say.
set(DIC_VERSION "0.0.0" CACHE STRING "version of the programs")
if(NOT DIC_VERSION MATCHES "^[0-9A-Za-z._+-]+$")
  message(FATAL_ERROR "DIC_VERSION '${DIC_VERSION}': letters, digits and . _ + - only")
endif()
add_compile_definitions(DIC_VERSION="${DIC_VERSION}")
